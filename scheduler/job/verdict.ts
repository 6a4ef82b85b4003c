const SKIP_REASONS = [
  "PAUSED",
  "OUTSIDE_CALENDAR",
  "OVERLAP",
  "BUFFER_FULL",
  "SKIPPED_BY_REQUEST",
  "JOB_DISABLED",
  "CATCHUP_WINDOW",
  "CATCHUP_LIMIT",
  "MISFIRE_POLICY",
] as const;

/** The reason why a fire time made no trigger, as PostgreSQL spells it. */
export type SkipReason = (typeof SKIP_REASONS)[number];

/** Tells whether a value is the reason of a skip. */
export function isSkipReason(value: unknown): value is SkipReason {
  return SKIP_REASONS.some((reason) => reason === value);
}

/** The verdict on a fire time without a trigger: SKIPPED on purpose, or MISSED because of an outage. */
export type SkipVerdict = "SKIPPED" | "MISSED";

/** Consecutive fire times without a trigger, all for one reason. Times are epoch milliseconds. */
export interface SkipRange {
  /** The first fire time of the whole range, also when this extends a stored range. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly reason: SkipReason;
  /** How many fire times this adds to the range. */
  readonly count: number;
  /** The name of the calendar that was closed; empty for other reasons. */
  readonly detail: string;
}

/** The reasons of fire times that an outage made us miss. */
export const MISSED_REASONS = [
  "CATCHUP_WINDOW",
  "CATCHUP_LIMIT",
  "MISFIRE_POLICY",
] as const satisfies SkipReason[];

const MISSED: ReadonlySet<SkipReason> = new Set(MISSED_REASONS);

/** Returns the verdict that a reason belongs to. */
export function verdictOf(reason: SkipReason): SkipVerdict {
  return MISSED.has(reason) ? "MISSED" : "SKIPPED";
}

/** Returns the ranges that were missed because of an outage. */
export function missedOf(ranges: readonly SkipRange[]): SkipRange[] {
  return ranges.filter(({ reason }) => verdictOf(reason) === "MISSED");
}
