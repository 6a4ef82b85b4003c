import { isItemFault } from "../../db/item-fault.ts";
import { isLockTimeout, type Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import type { Logger } from "../../mesh/logger.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { jobsByUids } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { readAutoDisable } from "./auto-disable.ts";
import {
  type FailingJobRow,
  failingJobsAdd,
  failingJobsLock,
  failingJobsWrite,
  type PendingStop,
} from "./failing-jobs.sql.ts";
import { addEnds, isTooLong, type RunOfExhausted } from "./run-of-exhausted.ts";
import { exhaustedSinceSuccess, type SignalRow, signalsList, signalsTake } from "./signals.sql.ts";

/** The most signals of one pass, which is one transaction. */
export const SIGNALS_AT_ONCE = 200;
/** With fewer exhausted triggers no job is disabled, so nothing else is read. */
const FEWEST = 2;
/** How many exhausted triggers after a success are counted at most. Source: the bound of AutoDisable.after_exhausted. */
const MOST_EXHAUSTED = 1_000;

/** What a pass has found. */
export interface CountedSignals {
  readonly signals: number;
  /** How many of them it has taken out. The others were locked, or another scheduler has taken them. */
  readonly taken: number;
  /** Jobs whose rows another transaction has locked. Their signals stay, and the next pass leaves them out. */
  readonly locked: readonly string[];
}

/**
 * Takes the oldest signals of the dispatchers, without those of some jobs, counts the exhausted triggers of their jobs, and
 * notes which jobs are to be paused or disabled; all in one transaction, so each signal counts once, whoever is killed. A
 * signal that cannot be counted is logged and dropped. Throws SERVICE_UNAVAILABLE.
 */
export async function countSignals(
  parts: Pick<Parts, "database">,
  logger: Pick<Logger, "error">,
  without: readonly string[],
): Promise<CountedSignals> {
  const { database } = parts;
  const listed = await database.query(signalsList, [SIGNALS_AT_ONCE, without]);
  const locked = new Set<string>();
  const { results, failed } = await takeApart(
    listed,
    (part) => database.transaction((tx) => countPart(tx, part, locked)),
    { isItemFault: (error) => isItemFault(error) && !isLockTimeout(error) },
  );
  for (const { item, error } of failed) {
    const { job_uid: jobUid, project_id: projectId, trigger_id: triggerId } = item;
    logger.error(
      { jobUid, projectId, triggerId, err: error },
      "the end of a trigger cannot be counted; left out",
    );
    await take(database, [item]);
  }
  const taken = results.reduce((sum, count) => sum + count, failed.length);
  return { signals: listed.length, taken, locked: [...locked] };
}

async function take(on: Queryable, signals: readonly SignalRow[]): Promise<ReadonlySet<string>> {
  const endTimes = signals.map(({ end_time: endMs }) => toSqlTime(endMs));
  const rows = await on.query(signalsTake, [endTimes, signals.map(({ trigger_id: id }) => id)]);
  return new Set(rows.map(({ trigger_id: id }) => id));
}

/** Counts signals, and returns how many of them it has taken out. */
async function countPart(tx: Queryable, signals: readonly SignalRow[], locked: Set<string>): Promise<number> {
  const projects = new Map(signals.map(({ job_uid: uid, project_id: projectId }) => [uid, projectId]));
  const uids = [...projects.keys()].sort();
  const added = await tx.query(failingJobsAdd, [uids, uids.map((uid) => projects.get(uid) ?? "")]);
  const living = new Set(added.map(({ uid }) => uid));
  const rows = new Map((await tx.query(failingJobsLock, [uids])).map((row) => [row.job_uid, row]));
  for (const uid of living) if (!rows.has(uid)) locked.add(uid);
  // The signals of a deleted job are taken out, and count for nothing.
  const free = signals.filter(({ job_uid: uid }) => rows.has(uid) || !living.has(uid));
  if (free.length === 0) return 0;
  const taken = await take(tx, free);
  const byJob = Map.groupBy(
    free.filter(({ trigger_id: id }) => taken.has(id)),
    ({ job_uid: uid }) => uid,
  );
  const counted: CountedJob[] = [];
  for (const [uid, ofJob] of byJob) {
    const row = rows.get(uid);
    if (row !== undefined) counted.push(countOne(row, ofJob));
  }
  await write(tx, await withDisabled(tx, counted));
  return taken.size;
}

/** A job after its signals were counted. */
interface CountedJob {
  readonly uid: string;
  readonly projectId: string;
  readonly run: RunOfExhausted;
  readonly pending: PendingStop | null;
  /** The latest signal of an exhausted trigger, if any. */
  readonly last: SignalRow | undefined;
}

function countOne(row: FailingJobRow, signals: readonly SignalRow[]): CountedJob {
  const { job_uid: uid, exhausted_count: count, first_time: firstMs, last_time: lastMs } = row;
  const { restart_time: restartMs, from_revision: fromRevision } = row;
  const counting = signals.filter(
    ({ end_time: endMs, revision }) => (restartMs === null || endMs > restartMs) && revision >= fromRevision,
  );
  const exhausted = counting.filter(({ kind }) => kind === "EXHAUSTED");
  const endsMs = exhausted.map(({ end_time: endMs }) => endMs);
  const asked = latestOf(counting.filter(({ kind }) => kind !== "EXHAUSTED"));
  return {
    uid,
    projectId: signals[0]?.project_id ?? "",
    run: addEnds({ count, firstMs, lastMs }, endsMs),
    pending: asked === undefined ? row.pending : toPending(asked, 0),
    last: latestOf(exhausted),
  };
}

function latestOf(signals: readonly SignalRow[]): SignalRow | undefined {
  return signals.reduce<SignalRow | undefined>(
    (latest, each) => (latest !== undefined && latest.end_time > each.end_time ? latest : each),
    undefined,
  );
}

function toPending(signal: SignalRow, exhaustedCount: number): PendingStop {
  const { kind, trigger_id: trigger, fire_time: fireTimeMs, revision, end_time: endTimeMs } = signal;
  return { kind, trigger, fireTimeMs, revision, endTimeMs, exhaustedCount };
}

/** Notes which of the jobs are to be disabled. Reads the policies and the history of few of them. */
async function withDisabled(tx: Queryable, jobs: readonly CountedJob[]): Promise<CountedJob[]> {
  const many = jobs.filter(({ run, pending, last }) => pending === null && last && run.count >= FEWEST);
  if (many.length === 0) return [...jobs];
  const rows = await tx.query(jobsByUids, [
    many.map(({ projectId }) => projectId),
    many.map(({ uid }) => uid),
  ]);
  const active = new Map(rows.filter(({ state }) => state === "ACTIVE").map((row) => [row.uid, row]));
  const judged = new Map<string, CountedJob>();
  for (const job of many) {
    const row = active.get(job.uid);
    const policy = row === undefined ? undefined : readAutoDisable(row.spec);
    if (policy === undefined || job.last === undefined || !isTooLong(job.run, policy)) continue;
    const run = await withoutSuccess(tx, job, job.last);
    const pending = isTooLong(run, policy) ? toPending(job.last, run.count) : null;
    judged.set(job.uid, { ...job, run, pending });
  }
  return jobs.map((job) => judged.get(job.uid) ?? job);
}

/**
 * Returns a run without what was exhausted before the job's last success. A success is not counted when it happens, because
 * that would cost every success a write. So it is looked for here, when the run seems to be long enough.
 */
async function withoutSuccess(
  tx: Queryable,
  { uid, projectId, run }: CountedJob,
  last: SignalRow,
): Promise<RunOfExhausted> {
  const [since] = await tx.query(exhaustedSinceSuccess, [
    projectId,
    uid,
    toSqlTime(run.firstMs ?? last.end_time),
    toSqlTime(last.fire_time),
    MOST_EXHAUSTED,
  ]);
  if (since === undefined) return run;
  const { exhausted_count: count, first_time: firstMs } = since;
  return { count, firstMs, lastMs: firstMs === null ? null : run.lastMs };
}

async function write(tx: Queryable, jobs: readonly CountedJob[]): Promise<void> {
  if (jobs.length === 0) return;
  await tx.query(failingJobsWrite, [
    jobs.map(({ uid }) => uid),
    jobs.map(({ run }) => run.count),
    jobs.map(({ run }) => toSqlTimeOrNull(run.firstMs)),
    jobs.map(({ run }) => toSqlTimeOrNull(run.lastMs)),
    jobs.map(({ pending }) => (pending === null ? null : JSON.stringify(pending))),
  ]);
}
