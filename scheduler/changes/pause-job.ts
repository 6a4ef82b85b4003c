import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { type JobRow, stateAt } from "../job/job.ts";
import { jobCancelTriggers } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { type ChangeParts, type PreparedJob, prepareJob, unchanged, writeChange } from "./change-job.ts";
import { type JobReference, lockJob } from "./lock-job.ts";

/** The note and the end of a pause. */
export interface Pause {
  readonly note: string;
  /** When the job resumes by itself, in epoch milliseconds. Null if only ResumeJob ends the pause. */
  readonly untilMs: number | null;
}

/**
 * Pauses a job and returns its row. If the job is already paused, changes the note and the end of the pause. Throws
 * JOB_NOT_FOUND, ETAG_MISMATCH, and FIELD_INVALID when the end is not in the future.
 */
export async function pauseJob(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  reference: JobReference,
  pause: Pause,
): Promise<JobRow> {
  const { note: pauseNote, untilMs } = pause;
  checkUntil(untilMs, parts.clock.now());
  const paused = await parts.database.transaction(async (tx) => {
    const row = await lockJob(tx, reference);
    const same = row.pause_note === pauseNote && row.pause_until === untilMs;
    if (stateAt(row, parts.clock.now()) === "PAUSED" && same) return row;
    const prepared = await prepareJob(tx, parts, row);
    return writeChange(tx, parts, prepared, {
      ...unchanged(parts, prepared),
      state: "PAUSED",
      pauseNote,
      untilMs,
    });
  });
  parts.wake();
  return paused;
}

/** Checks the end of a pause. Throws FIELD_INVALID when it is not later than now. */
export function checkUntil(untilMs: number | null, nowMs: number): void {
  if (untilMs === null || untilMs > nowMs) return;
  const [until, now] = [toIso(untilMs), toIso(nowMs)];
  const problem = `${until} is not later than now, ${now}; set a later time, or none.`;
  throw failure(
    "FIELD_INVALID",
    { field: "until", problem },
    { violations: [{ field: "until", description: problem }] },
  );
}

/**
 * Resumes a paused job and returns its row. It fires again from its first fire time after now. Does nothing to a job
 * that is not paused. Throws JOB_NOT_FOUND or ETAG_MISMATCH.
 */
export async function resumeJob(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  reference: JobReference,
): Promise<JobRow> {
  const resumed = await parts.database.transaction(async (tx) => {
    const row = await lockJob(tx, reference);
    if (stateAt(row, parts.clock.now()) !== "PAUSED") return row;
    const prepared = await prepareJob(tx, parts, row);
    return writeChange(tx, parts, prepared, {
      ...unchanged(parts, prepared),
      state: "ACTIVE",
      pauseNote: "",
      untilMs: null,
    });
  });
  parts.wake();
  return resumed;
}

/** Deletes a job and cancels its unfinished triggers. Throws JOB_NOT_FOUND or ETAG_MISMATCH. */
export function deleteJob(
  parts: ChangeParts & Pick<Parts, "database">,
  reference: JobReference,
): Promise<JobRow> {
  return parts.database.transaction(async (tx) => {
    const prepared = await prepareJob(tx, parts, await lockJob(tx, reference));
    await tx.query(jobCancelTriggers, [prepared.row.uid, toSqlTime(prepared.changeTimeMs)]);
    return writeDeletion(tx, parts, prepared);
  });
}

/** Marks a prepared job as deleted. The caller must deal with its unfinished triggers. */
export function writeDeletion(
  tx: Queryable,
  parts: Pick<Parts, "schedules" | "lookAheadMs">,
  prepared: PreparedJob,
): Promise<JobRow> {
  return writeChange(tx, parts, prepared, {
    ...unchanged(parts, prepared),
    state: "DELETED",
    pauseNote: "",
    untilMs: null,
    requested: [],
  });
}
