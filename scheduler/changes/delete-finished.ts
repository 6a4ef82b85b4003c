import { isItemFault } from "../../db/item-fault.ts";
import { isLockTimeout } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Loop, startLoop } from "../../mesh/loop.ts";
import { etagOf } from "../job/job.ts";
import { jobsLive, jobsToDelete } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { putBack, setAside } from "../set-aside/set-aside.ts";
import { type ChangeParts, prepareJob } from "./change-job.ts";
import { lockJob } from "./lock-job.ts";
import { writeDeletions } from "./pause-job.ts";

/** The most jobs that one pass deletes. */
const BATCH = 100;
/** Time between two passes of `deleteFinished`. */
export const DELETE_FINISHED_EVERY_MS = 5_000;

/** A finished job that is to be deleted, if nothing has changed it meanwhile. */
interface FinishedJob {
  readonly uid: string;
  readonly projectId: string;
  readonly name: string;
  readonly epoch: number;
}

/**
 * Deletes finished jobs whose `afterCompletion` is DELETE, once they have no unfinished triggers and no running
 * backfill. Leaves out a job that is changed or run in the meantime. Returns the number of deleted jobs. Any number of
 * schedulers may run it at the same time.
 *
 * A job that cannot be deleted, or that another transaction has locked for too long, is logged as an error and set aside,
 * so that the others are deleted. Throws SERVICE_UNAVAILABLE.
 */
export async function deleteFinished(
  parts: ChangeParts & Pick<Parts, "database">,
  logger: Pick<Logger, "error">,
): Promise<number> {
  const { database, clock } = parts;
  let deleted = 0;
  const found = await database.query(jobsToDelete, [BATCH, toSqlTime(clock.now())]);
  for (const { project_id: projectId, uid, name, epoch } of found) {
    try {
      if (await deleteOne(parts, { projectId, uid, name, epoch })) deleted += 1;
    } catch (error) {
      if (!isItemFault(error) && !isLockTimeout(error)) throw error;
      const problem = "The finished job cannot be deleted.";
      const [aside] = await setAside(
        database,
        "deletion",
        [{ id: uid, projectId, problem, error }],
        clock.now(),
      );
      const { failures, retryTimeMs } = aside ?? {};
      logger.error(
        { jobUid: uid, projectId, failures, retryTimeMs, err: error },
        "the deletion of a finished job is set aside; trying again later",
      );
    }
  }
  return deleted;
}

function deleteOne(parts: ChangeParts & Pick<Parts, "database">, job: FinishedJob): Promise<boolean> {
  return parts.database.transaction(async (tx) => {
    try {
      const { projectId, name } = job;
      const prepared = await prepareJob(tx, parts, await lockJob(tx, { projectId, name, etag: etagOf(job) }));
      // From here on no dispatcher can record a new trigger of the job, so this check is final.
      if ((await tx.query(jobsLive, [[job.uid]])).length > 0) return false;
      await writeDeletions(tx, parts, [prepared]);
      await putBack(tx, "deletion", [job.uid]);
      return true;
    } catch (error) {
      if (error instanceof EasyCronError && ["JOB_NOT_FOUND", "ETAG_MISMATCH"].includes(error.reason))
        return false;
      throw error;
    }
  });
}

/** Starts the loop that runs `deleteFinished` every five seconds. */
export function startDeletingFinished(parts: ChangeParts & Pick<Parts, "database">, logger: Logger): Loop {
  return startLoop(async () => ({ more: (await deleteFinished(parts, logger)) === BATCH }), {
    everyMs: DELETE_FINISHED_EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "finished jobs were not deleted; trying again"),
    onRecovery: (failures) => logger.info({ failures }, "deleting finished jobs again"),
  });
}
