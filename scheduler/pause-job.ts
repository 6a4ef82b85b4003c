import { toSqlTime } from "../db/time.ts";
import { type JobReference, lockJob, settleJob, writeChange } from "./change-job.ts";
import type { JobRow } from "./job.ts";
import { jobCancelTriggers } from "./jobs.sql.ts";
import type { Parts } from "./parts.ts";

/** Pauses a job; of one that is paused already it changes the note. Throws JOB_NOT_FOUND. */
export function pauseJob(parts: Parts, reference: JobReference, note: string): Promise<JobRow> {
  return parts.database.transaction(async (tx) => {
    const row = await lockJob(tx, reference);
    if (row.state === "PAUSED" && row.pause_note === note) return row;
    const settled = await settleJob(tx, parts, row);
    return writeChange(tx, settled, {
      state: "PAUSED",
      revision: row.revision,
      nextFireTimeMs: null,
      pauseNote: note,
    });
  });
}

/** Resumes a paused job from its first fire time later than now. Throws JOB_NOT_FOUND. */
export async function resumeJob(parts: Parts, reference: JobReference): Promise<JobRow> {
  const resumed = await parts.database.transaction(async (tx) => {
    const row = await lockJob(tx, reference);
    if (row.state === "ACTIVE") return row;
    const settled = await settleJob(tx, parts, row);
    const nextFireTimeMs = parts.schedules.of(row).nextAfter(settled.afterMs);
    return writeChange(tx, settled, {
      state: "ACTIVE",
      revision: row.revision,
      nextFireTimeMs,
      pauseNote: "",
    });
  });
  parts.wake();
  return resumed;
}

/** Deletes a job and cancels what of it has not come to rest. Throws JOB_NOT_FOUND or ETAG_MISMATCH. */
export function deleteJob(parts: Parts, reference: JobReference): Promise<JobRow> {
  return parts.database.transaction(async (tx) => {
    const row = await lockJob(tx, reference);
    const settled = await settleJob(tx, parts, row);
    await tx.query(jobCancelTriggers, [row.uid, toSqlTime(settled.changeTimeMs)]);
    return writeChange(tx, settled, {
      state: "DELETED",
      revision: row.revision,
      nextFireTimeMs: null,
      pauseNote: "",
    });
  });
}
