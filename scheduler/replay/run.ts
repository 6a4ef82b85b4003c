import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { OperationRow } from "../backfill/operations.sql.ts";
import { finish, lockLivingJob, type RunChunk } from "../backfill/run.ts";
import { lockJobs } from "../changes/lock-job.ts";
import {
  type ReplayableRow,
  replayAdvance,
  replayList,
  replayLivingJobs,
  replayTriggers,
} from "./replays.sql.ts";

/** The most triggers that one chunk, which is one transaction, reads. */
const CHUNK = 500;
const FIRST_TIME = "-infinity";

/**
 * Makes the next triggers of a replay due again, and records how far it is, in one transaction: after a crash before the
 * commit, the same chunk runs again. It goes from one trigger to the next by their fire times and never back, and takes only
 * what had ended when the replay began. So a trigger that fails again meanwhile is not replayed twice.
 */
export const runReplayChunk: RunChunk = async (_, tx, operation, nowMs) => {
  if (operation.job_uid !== "" && (await lockLivingJob(tx, operation)) === undefined) {
    await finish(tx, operation, "FAILED", `The job "${operation.job_name}" was deleted.`, nowMs);
    return;
  }
  const listed = await listNext(tx, operation);
  const last = listed.at(-1);
  if (last === undefined) {
    await finish(tx, operation, "SUCCEEDED", "", nowMs);
    return;
  }
  const { passed, taken } = await choose(tx, operation, listed);
  const done = await replay(tx, operation, taken, nowMs);
  const ended = passed.filter((trigger) => hadEnded(operation, trigger)).length;
  const pauseMs = Math.ceil((done * 1_000) / operation.max_per_second);
  const { fire_time: reachedMs, id: reachedId } = passed.at(-1) ?? last;
  await tx.query(replayAdvance, [
    operation.uid,
    toSqlTime(reachedMs),
    reachedId,
    done,
    ended - done,
    toSqlTime(nowMs + pauseMs),
  ]);
};

/** Triggers that a chunk has dealt with. */
interface Chosen {
  /** All of them, in order: those that are taken, and those that are left out. */
  readonly passed: readonly ReplayableRow[];
  /** Those that are to be replayed: as many as one second allows, and at most CHUNK. */
  readonly taken: readonly ReplayableRow[];
}

/**
 * Chooses triggers from the beginning of a page. A trigger that is left out, because its job is deleted or because it ended
 * after the replay began, takes no place of one that is replayed. So a page of them costs one chunk.
 */
async function choose(
  tx: Queryable,
  operation: OperationRow,
  listed: readonly ReplayableRow[],
): Promise<Chosen> {
  const uids = [...new Set(listed.map(({ job_uid: uid }) => uid))];
  const living = await tx.query(replayLivingJobs, [operation.project_id, uids]);
  const isLiving = new Set(living.map(({ uid }) => uid));
  const taken = listed
    .filter((trigger) => hadEnded(operation, trigger) && isLiving.has(trigger.job_uid))
    .slice(0, operation.max_per_second);
  const isFull = taken.length === operation.max_per_second;
  const end = isFull ? listed.findIndex(({ id }) => id === taken.at(-1)?.id) + 1 : listed.length;
  return { passed: listed.slice(0, end), taken };
}

function hadEnded({ create_time: createMs }: OperationRow, { end_time: endMs }: ReplayableRow): boolean {
  return endMs <= createMs;
}

function listNext(tx: Queryable, operation: OperationRow): Promise<ReplayableRow[]> {
  const { last_fire_time: lastMs, last_trigger_id: lastId } = operation;
  return tx.query(replayList, [
    operation.project_id,
    operation.job_uid === "" ? null : operation.job_uid,
    operation.trigger_state,
    toSqlTime(operation.start_time),
    toSqlTime(operation.end_time),
    lastMs === null ? FIRST_TIME : toSqlTime(lastMs),
    lastId ?? "",
    CHUNK,
  ]);
}

/** Makes triggers due again whose jobs are not deleted. Returns how many. */
async function replay(
  tx: Queryable,
  { project_id: projectId, trigger_state: state, create_time: createMs }: OperationRow,
  triggers: readonly ReplayableRow[],
  nowMs: number,
): Promise<number> {
  const jobs = await lockJobs(tx, projectId, [...new Set(triggers.map(({ job_uid }) => job_uid))]);
  const living = triggers.flatMap((trigger) => {
    const job = jobs.get(trigger.job_uid);
    return job === undefined ? [] : [{ trigger, job }];
  });
  if (living.length === 0) return 0;
  const replayed = await tx.query(replayTriggers, [
    projectId,
    living.map(({ trigger }) => trigger.id),
    living.map(({ trigger }) => toSqlTime(trigger.fire_time)),
    living.map(({ job }) => job.revision),
    living.map(({ job }) => job.name),
    [state ?? ""],
    toSqlTime(createMs),
    toSqlTime(nowMs),
  ]);
  return replayed.length;
}
