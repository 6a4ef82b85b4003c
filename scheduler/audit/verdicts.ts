import type { SkipRow } from "../job/skips.sql.ts";
import { triggerId } from "../job/trigger-id.ts";
import { isoOrNone, type LedgerDifference } from "./difference.ts";
import type { Pace } from "./pace.ts";
import { findSkipProblem } from "./reasons.ts";
import type { AuditRecord } from "./record.ts";
import type { RecordedFireTime } from "./recorded-fire-times.ts";
import { findTriggerProblem } from "./trigger.ts";
import type { UndecidedTimes } from "./undecided.ts";

/** Checks that each fire time has exactly one verdict, and that the job's policies, pauses and calendars allow it. */
export async function compareVerdicts(
  record: AuditRecord,
  recorded: readonly RecordedFireTime[],
  undecided: UndecidedTimes,
  pace: Pace,
): Promise<LedgerDifference[]> {
  const differences: LedgerDifference[] = [];
  const reported = new Set<SkipRow>();
  for (const [index, each] of recorded.entries()) {
    if (pace.shouldYield()) await pace.yield();
    const found = judgeOne(record, recorded, index, undecided);
    // A wrong row of skips is reported once, however many fire times it covers.
    if (found === null || (each.skip !== undefined && reported.has(each.skip))) continue;
    if (each.skip !== undefined) reported.add(each.skip);
    differences.push({ ...found, atMs: each.atMs });
  }
  return differences;
}

function judgeOne(
  record: AuditRecord,
  recorded: readonly RecordedFireTime[],
  index: number,
  undecided: UndecidedTimes,
): Omit<LedgerDifference, "atMs"> | null {
  const each = recorded[index];
  if (each === undefined) return null;
  const { atMs, scheduled, backfilled, skip, segment, isUndecided } = each;
  const verdicts = scheduled.map(({ id }) => `trigger ${id}`);
  if (skip !== undefined) verdicts.push(`${skip.verdict}, ${skip.reason}`);
  if (segment.halted !== null) verdicts.push(`SKIPPED, ${segment.halted}`);
  if (verdicts.length > 1) return { kind: "TWO_VERDICTS", detail: verdicts.join("; ") };
  const [trigger] = scheduled;
  if (trigger !== undefined) return findTriggerProblem(record, trigger, segment);
  if (skip !== undefined) return findSkipProblem(record, recorded, index, skip);
  if (segment.halted !== null) return null;
  if (isUndecided && !undecided.isOverdue(atMs)) return null;
  if (isUndecided)
    return {
      kind: "UNACCOUNTED",
      detail: `It is not decided yet, and no scheduler wakes for the job: ${describeWakeTime(record)}.`,
    };
  if (backfilled !== undefined) {
    return {
      kind: "WRONG_TRIGGER",
      detail: `${backfilled.id} has kind BACKFILL, but the fire time was not skipped.`,
    };
  }
  return { kind: "UNACCOUNTED", detail: "It has neither a trigger nor a skip." };
}

function describeWakeTime({ row }: AuditRecord): string {
  return row.wake_time === null
    ? "the job has no wake time"
    : `its wake time was ${isoOrNone(row.wake_time)}`;
}

/** Reports triggers at instants that are not fire times, and triggers whose id does not belong to their fire time. */
export async function compareTriggers(record: AuditRecord, pace: Pace): Promise<LedgerDifference[]> {
  const differences: LedgerDifference[] = [];
  const times = new Set(record.expected.map(({ atMs }) => atMs));
  for (const { fire_time: atMs, id, kind, seq } of record.triggers) {
    if (pace.shouldYield()) await pace.yield();
    const derived = triggerId(record.row.uid, atMs);
    if (id !== derived)
      differences.push({ kind: "WRONG_TRIGGER", atMs, detail: `${id} should have the id ${derived}.` });
    if (kind !== "BACKFILL" && !times.has(atMs)) {
      differences.push({
        kind: "UNEXPECTED_TRIGGER",
        atMs,
        detail: `${id} is at an instant that is not a fire time of the job.`,
      });
    }
    if (kind === "BACKFILL" && seq !== 0) {
      const detail = `${id} has kind BACKFILL, but seq ${seq}; a backfill is not in the chain and has seq 0.`;
      differences.push({ kind: "WRONG_TRIGGER", atMs, detail });
    }
  }
  return differences;
}
