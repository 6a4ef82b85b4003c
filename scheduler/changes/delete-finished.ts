import { EasyCronError } from "../../mesh/errors.ts";
import type { Logger } from "../../mesh/logger.ts";
import { etagOf } from "../job/job.ts";
import { jobsLive, jobsToDelete } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { type ChangeParts, settleJob } from "./change-job.ts";
import { lockJob } from "./lock-job.ts";
import { writeDeletion } from "./pause-job.ts";

/** Most jobs of one look. */
const BATCH = 100;
const EVERY_MS = 5_000;

/**
 * Deletes the finished jobs that ask for it, once none of their triggers lives and no backfill of them runs. One that is
 * changed or run meanwhile is left alone. Returns how many. Any number of schedulers may do so at once.
 */
export async function deleteFinished(parts: ChangeParts & Pick<Parts, "database">): Promise<number> {
  let deleted = 0;
  for (const { project_id: projectId, name, ...job } of await parts.database.query(jobsToDelete, [BATCH])) {
    const reference = { projectId, name, etag: etagOf(job) };
    const done = await parts.database.transaction(async (tx) => {
      try {
        const settled = await settleJob(tx, parts, await lockJob(tx, reference));
        // Now that no dispatcher can record anything more of it, what is there is all there will be.
        if ((await tx.query(jobsLive, [[job.uid]])).length > 0) return false;
        await writeDeletion(tx, parts, settled);
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

/** Looks every five seconds; a failure is logged and made up for by the next look. */
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
