/**
 * What a job that fires at fixed local times does when its zone's offset changes. Jobs in rhythm (`*` in the minute or
 * hour field, or all of their values) follow elapsed time and are not asked.
 */
export type DstPolicy = {
  /** A local time that is skipped: fire at the first instant after the gap, or not at all. */
  gap: "FIRE_AT_END" | "SKIP";
  /** A local time that comes twice: fire at the first, the second or both. */
  overlap: "FIRST" | "SECOND" | "BOTH";
};

/** Exactly once for each local time: at the end of a gap, and in the first pass of a repeated hour. */
export const DEFAULT_DST_POLICY: Readonly<DstPolicy> = { gap: "FIRE_AT_END", overlap: "FIRST" };

/** A skip of more than three hours is a calendar change (Samoa, 2011-12-30): what it skips has no fire time at all. */
export const LONGEST_GAP_SECONDS = 3 * 3600;
