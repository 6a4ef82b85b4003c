import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { OperationRow } from "../backfill/operations.sql.ts";
import { finish, lockLivingJob, type RunChunk } from "../backfill/run.ts";
import { lockJobs } from "../changes/lock-job.ts";
import { type ReplayableRow, replayAdvance, replayList, replayTriggers } from "./replays.sql.ts";

/** The most triggers of one chunk, which is one transaction. */
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
  const wanted = listed.filter(({ end_time }) => end_time <= operation.create_time);
  const done = await replay(tx, operation, wanted, nowMs);
  const pauseMs = Math.ceil((done * 1_000) / operation.max_per_second);
  await tx.query(replayAdvance, [
    operation.uid,
    toSqlTime(last.fire_time),
    last.id,
    done,
    wanted.length - done,
    toSqlTime(nowMs + pauseMs),
  ]);
};

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
    Math.min(CHUNK, operation.max_per_second),
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
