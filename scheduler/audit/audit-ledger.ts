import type { Parts } from "../parts.ts";
import { compareChain } from "./chain.ts";
import type { LedgerDifference } from "./difference.ts";
import { createPace, type Pace } from "./pace.ts";
import { type AuditRecord, readAuditRecord } from "./record.ts";
import { matchRecords, type RecordedFireTime } from "./recorded-fire-times.ts";
import { compareSkips } from "./skips.ts";
import { compareWake, readUndecidedTimes, type UndecidedTimes } from "./undecided.ts";
import { compareTriggers, compareVerdicts } from "./verdicts.ts";
import { compareWalk } from "./walk.ts";

/** What an audit uses. */
export type AuditParts = Pick<Parts, "database" | "zoneData" | "clock" | "lookAheadMs" | "tickingSince">;

/** What an audit found. */
export interface Audit {
  readonly fireTimeCount: number;
  readonly differences: readonly LedgerDifference[];
  /** Up to where it compared, exclusive. */
  readonly untilMs: number;
  /** What is from here on, and before `untilMs`, may still change: it is not decided, or not due yet. */
  readonly undecidedMs: number;
  /** Whether the job is deleted: no fire time is to come. */
  readonly deleted: boolean;
}

/** Most fire times of one audit. */
export const AUDIT_LIMIT = 10_000;
const MAX_DIFFERENCES = 100;

/**
 * Compares a job's ledger from `fromMs`, inclusive, to `untilMs`, exclusive, with what the job's epochs, revisions and
 * calendars of that time say, and by other code than what wrote and what lists it:
 *
 * 1. All is read in one snapshot, and the schedules are compiled anew from what is stored (audit-record.ts).
 * 2. The fire times that ought to be there are computed, and a part of them a second time by a slow walk (audit-walk.ts).
 * 3. Each must have exactly one verdict, and one that the job's policies, pauses and calendars of that time give
 *    (audit-verdicts.ts, audit-reasons.ts, audit-trigger.ts).
 * 4. Rows of skips must hold what they count (audit-skips.ts), and triggers form one chain (audit-chain.ts).
 * 5. A scheduler must be going to look at the job (audit-open.ts).
 *
 * At most 10,000 fire times are compared; the answer says how far that came. It rests every few milliseconds, and ends
 * when the signal is aborted. Null for a job that is gone. Throws when a revision no longer compiles.
 */
export async function auditJob(
  parts: AuditParts,
  job: { readonly uid: string; readonly project_id: string },
  fromMs: number,
  untilMs: number,
  signal?: AbortSignal,
): Promise<Audit | null> {
  const pace = createPace(signal);
  const range = { fromMs, untilMs, limit: AUDIT_LIMIT };
  const record = await parts.database.snapshot((tx) => readAuditRecord(tx, parts, job, range, pace));
  if (record === null) return null;
  const tickState = { tickingSinceMs: parts.tickingSince(), lookAheadMs: parts.lookAheadMs };
  const undecided = readUndecidedTimes(record, tickState);
  const recorded = await matchRecords(record, undecided, pace);
  const differences = await compareAll(record, recorded, undecided, pace);
  return {
    fireTimeCount: recorded.length,
    differences: differences.slice(0, MAX_DIFFERENCES),
    untilMs: record.endMs,
    undecidedMs: firstUndecided(record, recorded),
    deleted: record.row.state === "DELETED",
  };
}

async function compareAll(
  record: AuditRecord,
  recorded: readonly RecordedFireTime[],
  undecided: UndecidedTimes,
  pace: Pace,
): Promise<LedgerDifference[]> {
  return [
    ...compareWake(record),
    ...(await compareVerdicts(record, recorded, undecided, pace)),
    ...(await compareTriggers(record, pace)),
    ...compareSkips(record),
    ...compareChain(record, recorded),
    ...(await compareWalk(record, pace)),
  ].sort((a, b) => a.atMs - b.atMs);
}

// What was handed over and is not due yet can be taken back by a change.
function firstUndecided({ endMs, nowMs }: AuditRecord, recorded: readonly RecordedFireTime[]): number {
  const first = recorded.find(
    ({ isUndecided, scheduled }) =>
      isUndecided || scheduled.some(({ effective_time }) => effective_time > nowMs),
  );
  return first?.atMs ?? endMs;
}
