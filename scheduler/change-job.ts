import type { Queryable } from "../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../db/time.ts";
import { failure } from "../mesh/errors.ts";
import { type ChainPosition, nextLinks, positionOf } from "./chain.ts";
import { etagOf, type JobRow, type JobStateName } from "./job.ts";
import { jobByUid, jobChange, jobLockForChange, jobLockForHandOver, jobWithdraw } from "./jobs.sql.ts";
import type { Parts } from "./parts.ts";

/** Which job is meant, and in which state. */
export interface JobReference {
  readonly projectId: string;
  readonly name: string;
  /** If not empty, the etag that the job must still have. */
  readonly etag?: string;
}

/** A job whose row is locked, whose past fire times are all handed over, and whose future ones are taken back. */
export interface SettledJob {
  readonly row: JobRow;
  /** The instant of the change: fire times up to it belong to what was, later ones to what will be. */
  readonly changeTimeMs: number;
  /** The chain after what could be taken back was. */
  readonly chain: Pick<ChainPosition, "lastFireTimeMs" | "lastSeq">;
  /** A new cursor must lie after this: the change, or a later trigger that had started already. */
  readonly afterMs: number;
}

/** What a change writes. */
export interface JobChange {
  readonly state: JobStateName;
  readonly revision: number;
  readonly nextFireTimeMs: number | null;
  readonly pauseNote: string;
}

const SETTLE_LIMIT = 10_000;

/** Locks the project's living job of a name. Throws JOB_NOT_FOUND or ETAG_MISMATCH. */
export async function lockJob(tx: Queryable, reference: JobReference): Promise<JobRow> {
  const [locked] = await tx.query(jobLockForHandOver, [reference.projectId, reference.name]);
  const [row] = locked === undefined ? [] : await tx.query(jobByUid, [reference.projectId, locked.uid]);
  if (row === undefined) throw failure("JOB_NOT_FOUND", { job: reference.name });
  const wanted = reference.etag ?? "";
  if (wanted !== "" && wanted !== etagOf(row)) {
    throw failure("ETAG_MISMATCH", { name: reference.name, given: wanted, current: etagOf(row) });
  }
  return row;
}

/**
 * Makes a locked job ready to be changed:
 *
 * 1. What is due up to now belongs to the specification that is being replaced: it is handed over now if an outage
 *    has kept it back, so that no fire time is lost to a change.
 * 2. The lock is raised to FOR UPDATE. It waits until no dispatcher is recording events of the job, and from then on
 *    they refuse events of the old epoch.
 * 3. Triggers handed over ahead of time that have not started are taken back, and the chain with them.
 *
 * A dispatcher claims a trigger in PostgreSQL at its fire time, not before. So once the transaction has committed, no
 * delivery starts under the old specification for a later fire time (promise 5), without asking any dispatcher.
 */
export async function settleJob(tx: Queryable, parts: Parts, row: JobRow): Promise<SettledJob> {
  const changeTimeMs = parts.clock.now();
  const owed = nextLinks(row, parts.schedules.of(row), changeTimeMs, SETTLE_LIMIT);
  if (owed.events.length === SETTLE_LIMIT) {
    throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
  }
  if (owed.events.length > 0) await parts.handOver.send(owed.events);
  await tx.query(jobLockForChange, [row.uid]);
  const [back] = await tx.query(jobWithdraw, [row.uid, toSqlTime(changeTimeMs)]);
  const before = owed.events.length > 0 ? owed.position : positionOf(row);
  return {
    row,
    changeTimeMs,
    chain: chainAfter(before, back),
    afterMs: Math.max(changeTimeMs, back?.kept_fire_time ?? changeTimeMs),
  };
}

interface Withdrawn {
  readonly first_seq: number | null;
  readonly first_previous_fire_time: number | null;
  readonly kept_seq: number | null;
  readonly kept_fire_time: number | null;
}

function chainAfter(before: ChainPosition, back: Withdrawn | undefined): SettledJob["chain"] {
  if (back?.kept_seq != null) return { lastSeq: back.kept_seq, lastFireTimeMs: back.kept_fire_time };
  if (back?.first_seq != null)
    return { lastSeq: back.first_seq - 1, lastFireTimeMs: back.first_previous_fire_time };
  return before;
}

/** Writes the change of a settled job and returns its new row. */
export async function writeChange(tx: Queryable, job: SettledJob, change: JobChange): Promise<JobRow> {
  await tx.query(jobChange, [
    job.row.uid,
    change.state,
    change.revision,
    toSqlTimeOrNull(change.nextFireTimeMs),
    toSqlTimeOrNull(job.chain.lastFireTimeMs),
    job.chain.lastSeq,
    change.pauseNote,
    toSqlTime(job.changeTimeMs),
  ]);
  const [row] = await tx.query(jobByUid, [job.row.project_id, job.row.uid]);
  if (row === undefined) throw new Error(`Job ${job.row.uid} is gone after its change.`);
  return row;
}
