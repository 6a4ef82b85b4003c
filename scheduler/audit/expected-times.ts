import type { AuditEpochRow, AuditJobRow } from "./audits.sql.ts";
import type { Pace } from "./pace.ts";
import type { RevisionRules } from "./revision-rules.ts";

/** What of a job's life is audited. Epoch milliseconds. */
export interface TimesRange {
  readonly fromMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  /** Most fire times. */
  readonly limit: number;
}

/** A stretch of a job's life in which one state and one revision hold. Epoch milliseconds. */
export interface AuditSegment {
  /** Its place among the epochs. */
  readonly index: number;
  readonly paused: boolean;
  readonly revision: number;
  readonly rules: RevisionRules;
  /** Its fire times are later than this, */
  readonly afterMs: number;
  /** and not later than this. */
  readonly lastMs: number;
  /** When it was changed into the next; null for the present one. */
  readonly changeMs: number | null;
}

/** A fire time that ought to have a verdict, and the stretch of the job's life that gives it. */
export interface ExpectedFireTime {
  readonly atMs: number;
  readonly segment: AuditSegment;
}

/**
 * The stretches that give a job's fire times before `untilMs`: each epoch up to where any later one begins. The present
 * pause ends where it is to end, whether a scheduler has ended it or not.
 */
export function toAuditSegments(
  row: Pick<AuditJobRow, "state" | "pause_until">,
  epochs: readonly AuditEpochRow[],
  rulesByRevision: ReadonlyMap<number, RevisionRules>,
  untilMs: number,
): AuditSegment[] {
  const segments: AuditSegment[] = [];
  for (const [index, epoch] of epochs.entries()) {
    const rules = rulesByRevision.get(epoch.revision);
    if (rules === undefined || epoch.state === "DELETED") continue;
    const later = epochs.slice(index + 1).map(({ after_time }) => after_time);
    const lastMs = Math.min(untilMs - 1, epoch.end_time ?? untilMs, ...later);
    const changeMs = epochs[index + 1]?.change_time ?? null;
    const paused = epoch.state === "PAUSED";
    const { revision, after_time: afterMs } = epoch;
    const whole = { index, paused, revision, rules, afterMs, lastMs, changeMs };
    const endsMs = changeMs === null && row.state === "PAUSED" ? row.pause_until : null;
    if (endsMs === null || endsMs > lastMs) segments.push(whole);
    else segments.push({ ...whole, lastMs: endsMs - 1 }, { ...whole, paused: false, afterMs: endsMs - 1 });
  }
  return segments;
}

/** The fire times of the stretches within a range, in order, and where that ends because there are too many. */
export async function expectedFireTimes(
  segments: readonly AuditSegment[],
  { fromMs, untilMs, limit }: TimesRange,
  pace: Pace,
): Promise<{ readonly expected: readonly ExpectedFireTime[]; readonly endMs: number }> {
  const expected: ExpectedFireTime[] = [];
  for (const segment of segments) {
    const { schedule } = segment.rules;
    let atMs = schedule.nextAfter(Math.max(segment.afterMs, fromMs - 1));
    while (atMs !== null && atMs <= segment.lastMs) {
      if (expected.length === limit) return { expected, endMs: atMs };
      expected.push({ atMs, segment });
      atMs = schedule.nextAfter(atMs);
      if (pace.shouldYield()) await pace.yield();
    }
  }
  return { expected, endMs: untilMs };
}

/** Where the first of some ascending times is that is not less than an instant. */
export function lowerBound(times: readonly number[], atMs: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < atMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
