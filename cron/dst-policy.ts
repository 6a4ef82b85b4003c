/**
 * What a job that fires at fixed local times does when its zone's offset changes. A periodic job ignores this
 * policy: one whose minute or hour field starts with `*` or has all values.
 */
export type DstPolicy = {
  /** For a local time that does not exist: fire at the first instant after the gap, or not at all. */
  gap: "FIRE_AT_END" | "SKIP";
  /** For a local time that occurs twice: fire the first time, the second time, or both times. */
  overlap: "FIRST" | "SECOND" | "BOTH";
};

/** Fires exactly once for each local time: at the end of a gap, and in the first pass of a repeated hour. */
export const DEFAULT_DST_POLICY: Readonly<DstPolicy> = { gap: "FIRE_AT_END", overlap: "FIRST" };

/** A longer gap is a change of the calendar (Samoa, 2011-12-30): local times in it have no fire time at all. */
export const LONGEST_GAP_SECONDS = 3 * 3600;
