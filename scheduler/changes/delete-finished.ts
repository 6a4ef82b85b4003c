import { EasyCronError } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import { etagOf } from "../job/job.ts";
import { jobsLive, jobsToDelete } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { type ChangeParts, prepareJob } from "./change-job.ts";
import { lockJob } from "./lock-job.ts";
import { writeDeletions } from "./pause-job.ts";

/** The most jobs that one pass deletes. */
const BATCH = 100;
const EVERY_MS = 5_000;

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
        await writeDeletions(tx, parts, [prepared]);
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

/** Runs `deleteFinished` every five seconds. Logs a failure; the next pass tries again. */
export function startDeletingFinished(
  parts: ChangeParts & Pick<Parts, "database">,
  logger: Logger,
): { stop(): void } {
  const timer = setInterval(() => {
    deleteFinished(parts).catch((error: unknown) =>
      logger.warn({ err: error }, "finished jobs were not deleted"),
    );
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
