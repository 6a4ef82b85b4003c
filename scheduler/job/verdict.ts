/** Why a fire time made no trigger, as PostgreSQL spells it. */
export type SkipReason =
  | "PAUSED"
  | "OUTSIDE_CALENDAR"
  | "OVERLAP"
  | "BUFFER_FULL"
  | "SKIPPED_BY_REQUEST"
  | "JOB_DISABLED"
  | "CATCHUP_WINDOW"
  | "CATCHUP_LIMIT"
  | "MISFIRE_POLICY";

/** What became of a fire time without a trigger. */
export type SkipVerdict = "SKIPPED" | "MISSED";

/** Consecutive fire times without a trigger, for one reason. */
export interface SkipRange {
  /** The first one; of a range that is lengthened, the first of all. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly reason: SkipReason;
  /** How many are added. */
  readonly count: number;
  /** The calendar that was closed, when one was. */
  readonly detail: string;
}

const MISSED: ReadonlySet<SkipReason> = new Set(["CATCHUP_WINDOW", "CATCHUP_LIMIT", "MISFIRE_POLICY"]);

/** The verdict that a reason belongs to. */
export function verdictOf(reason: SkipReason): SkipVerdict {
  return MISSED.has(reason) ? "MISSED" : "SKIPPED";
}

/** Those of the ranges that an outage of ours has cost a job. */
export function missedOf(ranges: readonly SkipRange[]): SkipRange[] {
  return ranges.filter(({ reason }) => verdictOf(reason) === "MISSED");
}
