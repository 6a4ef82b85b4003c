import type { Parts } from "../parts.ts";
import { compareChain } from "./chain.ts";
import type { LedgerDifference } from "./difference.ts";
import { createPace, type Pace } from "./pace.ts";
import { type AuditRecord, readAuditRecord } from "./record.ts";
import { matchRecords, type RecordedFireTime } from "./recorded-fire-times.ts";
import { type AuditedJob, readAuditRecords } from "./set-records.ts";
import { compareSkips } from "./skips.ts";
import { compareWake, readUndecidedTimes, type UndecidedTimes } from "./undecided.ts";
import { compareTriggers, compareVerdicts } from "./verdicts.ts";
import { compareWalk } from "./walk.ts";

/** What an audit uses. */
export interface AuditParts
  extends Pick<Parts, "database" | "zoneData" | "clock" | "lookAheadMs" | "tickingSince"> {
  /** Called after each audit of a round, with the number of differences. */
  readonly onAudited?: (differences: number) => void;
}

/** What an audit found. */
export interface Audit {
  readonly fireTimeCount: number;
  readonly differences: readonly LedgerDifference[];
  /** The end of the range that was compared, exclusive. Epoch milliseconds. */
  readonly untilMs: number;
  /**
   * The first fire time that may still change, because it is undecided or its trigger is not due yet. Equals `untilMs`
   * when there is none. Epoch milliseconds.
   */
  readonly undecidedMs: number;
  /** Whether the job is deleted: it gets no more fire times. */
  readonly deleted: boolean;
}

/** The most fire times that one audit compares. */
export const AUDIT_LIMIT = 10_000;
const MAX_DIFFERENCES = 100;

/**
 * Compares a job's ledger from `fromMs`, inclusive, to `untilMs`, exclusive, with the epochs, revisions and calendars
 * that were in effect at that time. It shares no code with what writes the ledger or lists it, so that one fault cannot
 * hide another.
 *
 * 1. Everything is read in one snapshot, and the schedules are compiled again from the stored text (record.ts).
 * 2. The expected fire times are computed (expected-times.ts). Part of them are computed a second time by a slow,
 *    independent walk (walk.ts).
 * 3. Each fire time must have exactly one verdict, and it must be one that the job's policies, pauses and calendars of
 *    that time allow (verdicts.ts, reasons.ts, trigger.ts).
 * 4. Each row of skips must cover as many fire times as it counts (skips.ts), and the triggers must form one chain
 *    (chain.ts).
 * 5. A scheduler must wake for the job in time (undecided.ts).
 *
 * Compares at most 10,000 fire times; `untilMs` of the result says how far it got. Yields to other work every few
 * milliseconds. Returns null if the job's row no longer exists. Throws the signal's reason when the signal is aborted,
 * and an error when a revision no longer compiles.
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
  return record === null ? null : compareRecord(parts, record, pace);
}

/**
 * Audits several jobs up to `untilMs`, exclusive, as `auditJob` does one, each from its `fromMs` on. Few statements read
 * all of them. Returns the audits by uid. A job of which much is to be read, or that cannot be read, is left out: it is
 * to be audited alone.
 */
export async function auditJobs(
  parts: AuditParts,
  jobs: readonly AuditedJob[],
  untilMs: number,
): Promise<Map<string, Audit>> {
  const pace = createPace();
  const records = await parts.database.snapshot((tx) => readAuditRecords(tx, parts, jobs, untilMs, pace));
  const audits = new Map<string, Audit>();
  for (const record of records) {
    audits.set(record.row.uid, await compareRecord(parts, record, pace));
    if (pace.shouldYield()) await pace.yield();
  }
  return audits;
}

/** Compares what was read of a job, as `auditJob` says. */
async function compareRecord(
  parts: Pick<AuditParts, "tickingSince" | "lookAheadMs">,
  record: AuditRecord,
  pace: Pace,
): Promise<Audit> {
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

// A trigger that was handed over but is not due yet still counts as undecided: a change of the job can withdraw it.
function firstUndecided({ endMs, nowMs }: AuditRecord, recorded: readonly RecordedFireTime[]): number {
  const first = recorded.find(
    ({ isUndecided, scheduled }) =>
      isUndecided || scheduled.some(({ effective_time }) => effective_time > nowMs),
  );
  return first?.atMs ?? endMs;
}
