import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { type JobRow, stateAt } from "../job/job.ts";
import { jobCancelTriggers } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { type ChangeParts, type SettledJob, settleJob, unchanged, writeChange } from "./change-job.ts";
import { type JobReference, lockJob } from "./lock-job.ts";

/** Why a job is paused, and until when (null: until it is resumed). */
export interface Pause {
  readonly note: string;
  readonly untilMs: number | null;
}

/** Pauses a job; of one that is paused already it changes note and end. Throws JOB_NOT_FOUND or FIELD_INVALID. */
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
    const settled = await settleJob(tx, parts, row);
    return writeChange(tx, parts, settled, {
      ...unchanged(parts, settled),
      state: "PAUSED",
      pauseNote,
      untilMs,
    });
  });
  parts.wake();
  return paused;
}

/** Refuses the end of a pause that is not later than now. Throws FIELD_INVALID. */
export function checkUntil(untilMs: number | null, nowMs: number): void {
  if (untilMs === null || untilMs > nowMs) return;
  const [until, now] = [new Date(untilMs).toISOString(), new Date(nowMs).toISOString()];
  const problem = `${until} is not later than now, ${now}; give a later instant, or none.`;
  throw failure(
    "FIELD_INVALID",
    { field: "until", problem },
    { violations: [{ field: "until", description: problem }] },
  );
}

/** Resumes a paused job from its first fire time later than now. Throws JOB_NOT_FOUND. */
export async function resumeJob(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  reference: JobReference,
): Promise<JobRow> {
  const resumed = await parts.database.transaction(async (tx) => {
    const row = await lockJob(tx, reference);
    if (stateAt(row, parts.clock.now()) !== "PAUSED") return row;
    const settled = await settleJob(tx, parts, row);
    return writeChange(tx, parts, settled, {
      ...unchanged(parts, settled),
      state: "ACTIVE",
      pauseNote: "",
      untilMs: null,
    });
  });
  parts.wake();
  return resumed;
}

/** Deletes a job and cancels what of it has not come to rest. Throws JOB_NOT_FOUND or ETAG_MISMATCH. */
export function deleteJob(
  parts: ChangeParts & Pick<Parts, "database">,
  reference: JobReference,
): Promise<JobRow> {
  return parts.database.transaction(async (tx) => {
    const settled = await settleJob(tx, parts, await lockJob(tx, reference));
    await tx.query(jobCancelTriggers, [settled.row.uid, toSqlTime(settled.changeTimeMs)]);
    return writeDeletion(tx, parts, settled);
  });
}

/** Writes that a settled job is deleted. What of it has not come to rest is for the caller to see to. */
export function writeDeletion(
  tx: Queryable,
  parts: Pick<Parts, "schedules" | "lookAheadMs">,
  settled: SettledJob,
): Promise<JobRow> {
  return writeChange(tx, parts, settled, {
    ...unchanged(parts, settled),
    state: "DELETED",
    pauseNote: "",
    untilMs: null,
    requested: [],
  });
}
