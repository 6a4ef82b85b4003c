import type { AuditEpochRow, AuditJobRow } from "./audits.sql.ts";
import type { Pace } from "./pace.ts";
import type { RevisionRules } from "./revision-rules.ts";

/** The range of fire times that an audit compares. Epoch milliseconds. */
export interface TimesRange {
  readonly fromMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  /** The most fire times. */
  readonly limit: number;
}

/** A period of a job's life in which its state and its revision do not change. Epoch milliseconds. */
export interface AuditSegment {
  /** The index of its epoch among the job's epochs. */
  readonly index: number;
  /** Why its fire times are skipped without a row; null if they are not. */
  readonly halted: "PAUSED" | "JOB_DISABLED" | null;
  readonly revision: number;
  readonly rules: RevisionRules;
  /** Its fire times are later than this. */
  readonly afterMs: number;
  /** Its fire times are not later than this. */
  readonly lastMs: number;
  /** The time of the change that ended it; null for the last epoch. */
  readonly changeMs: number | null;
  /** The later changes that took effect after their time. */
  readonly heldBack: readonly AuditEpochRow[];
}

/** A fire time that must have a verdict, and the segment that it belongs to. */
export interface ExpectedFireTime {
  readonly atMs: number;
  readonly segment: AuditSegment;
}

/**
 * Returns whether a fire time of a segment may have waited, so that a later epoch decided it: because the job's rules
 * let it wait, or because a later change was made before it, by a clock that was behind, and took effect after it. Such
 * a change takes the trigger back, and the fire time waits for the new revision.
 */
export function mayHaveWaited({ rules, heldBack }: AuditSegment, atMs: number): boolean {
  return rules.mayWait || heldBack.some((epoch) => epoch.change_time < atMs && atMs <= epoch.after_time);
}

const HALTED: Readonly<Record<"ACTIVE" | "PAUSED" | "DISABLED", AuditSegment["halted"]>> = {
  ACTIVE: null,
  PAUSED: "PAUSED",
  DISABLED: "JOB_DISABLED",
};

/**
 * Turns a job's epochs into the segments that have its fire times before `untilMs`. Each epoch ends where a later one
 * begins. A pause with an end is split there into a paused and an active segment, even if no scheduler has ended the
 * pause yet.
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
    const later = epochs.slice(index + 1);
    const lastMs = Math.min(
      untilMs - 1,
      epoch.end_time ?? untilMs,
      ...later.map(({ after_time }) => after_time),
    );
    const heldBack = later.filter(({ change_time, after_time }) => change_time < after_time);
    const changeMs = epochs[index + 1]?.change_time ?? null;
    const halted = HALTED[epoch.state];
    const { revision, after_time: afterMs } = epoch;
    const whole = { index, halted, revision, rules, afterMs, lastMs, changeMs, heldBack };
    const endsMs = changeMs === null && row.state === "PAUSED" ? row.pause_until : null;
    if (endsMs === null || endsMs > lastMs) segments.push(whole);
    else segments.push({ ...whole, lastMs: endsMs - 1 }, { ...whole, halted: null, afterMs: endsMs - 1 });
  }
  return segments;
}

/**
 * Returns the fire times of the segments within a range, in order. `endMs` is the end of the range, or the first fire
 * time that exceeds the limit.
 */
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

/**
 * Returns the index of the first of some ascending times that is not less than `atMs`; their number if there is none.
 */
export function lowerBound(times: readonly number[], atMs: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < atMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
