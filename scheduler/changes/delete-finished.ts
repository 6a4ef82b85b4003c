import { EasyCronError } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import { type Loop, startLoop } from "../../mesh/loop.ts";
import { etagOf } from "../job/job.ts";
import { jobsLive, jobsToDelete } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { type ChangeParts, prepareJob } from "./change-job.ts";
import { lockJob } from "./lock-job.ts";
import { writeDeletion } from "./pause-job.ts";

/** The most jobs that one pass deletes. */
const BATCH = 100;
/** Time between two passes of `deleteFinished`. */
export const DELETE_FINISHED_EVERY_MS = 5_000;

/**
 * Deletes finished jobs whose `afterCompletion` is DELETE, once they have no unfinished triggers and no running
 * backfill. Leaves out a job that is changed or run in the meantime. Returns the number of deleted jobs. Any number of
 * schedulers may run it at the same time.
 */
export async function deleteFinished(parts: ChangeParts & Pick<Parts, "database">): Promise<number> {
  let deleted = 0;
  for (const { project_id: projectId, name, ...job } of await parts.database.query(jobsToDelete, [BATCH])) {
    const reference = { projectId, name, etag: etagOf(job) };
    const done = await parts.database.transaction(async (tx) => {
      try {
        const prepared = await prepareJob(tx, parts, await lockJob(tx, reference));
        // From here on no dispatcher can record a new trigger of the job, so this check is final.
        if ((await tx.query(jobsLive, [[job.uid]])).length > 0) return false;
        await writeDeletion(tx, parts, prepared);
        return true;
      } catch (error) {
        if (error instanceof EasyCronError && ["JOB_NOT_FOUND", "ETAG_MISMATCH"].includes(error.reason))
          return false;
        throw error;
      }
    });
    if (done) deleted += 1;
  }
  return deleted;
}

/** Starts the loop that runs `deleteFinished` every five seconds. */
export function startDeletingFinished(parts: ChangeParts & Pick<Parts, "database">, logger: Logger): Loop {
  return startLoop(async () => ({ more: (await deleteFinished(parts)) === BATCH }), {
    everyMs: DELETE_FINISHED_EVERY_MS,
    onFailure: (error, failures) =>
      logger.warn({ err: error, failures }, "finished jobs were not deleted; trying again"),
    onRecovery: (failures) => logger.info({ failures }, "deleting finished jobs again"),
  });
}
