import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { StoredDisableReason } from "../job/disable-reason.ts";
import { failingJobsDelete } from "../job/failing-jobs.sql.ts";
import { isHalted, type JobRow, stateAt } from "../job/job.ts";
import { jobsCancelTriggers } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { changeFacets } from "./change-facets.ts";
import { type ChangeParts, type PreparedJob, prepareJobs, unchanged, writeChanges } from "./change-job.ts";
import { type JobReference, lockJob } from "./lock-job.ts";
import { restartCounts } from "./restart-counts.ts";

/** The note and the end of a pause. */
export interface Pause {
  readonly note: string;
  /** When the job resumes by itself, in epoch milliseconds. Null if only ResumeJob ends the pause. */
  readonly untilMs: number | null;
}

/** How a job is halted: by a pause of a customer, unless it says otherwise. */
export interface Halt extends Pause {
  readonly state?: "PAUSED" | "DISABLED";
  /** Why EasyCron has paused or disabled the job; null or undefined if it has not. */
  readonly disableReason?: StoredDisableReason | null;
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
  checkUntil(pause.untilMs, parts.clock.now());
  const paused = await parts.database.transaction(async (tx) =>
    one(await writePauses(tx, parts, [{ row: await lockJob(tx, reference), pause }])),
  );
  parts.wake();
  return paused;
}

/**
 * Pauses locked jobs, or disables them again, and returns their rows, in the given order. A job that a customer has paused in
 * the same way stays as it is. The ends of the pauses must be in the future.
 */
export async function writePauses(
  tx: Queryable,
  parts: ChangeParts,
  jobs: readonly { readonly row: JobRow; readonly pause: Halt }[],
): Promise<JobRow[]> {
  const nowMs = parts.clock.now();
  const pauses = new Map(jobs.map(({ row, pause }) => [row.uid, pause]));
  const isPausedSo = ({ row, pause }: (typeof jobs)[number]) =>
    stateAt(row, nowMs) === "PAUSED" &&
    row.disable_reason === null &&
    pause.state !== "DISABLED" &&
    row.pause_note === pause.note &&
    row.pause_until === pause.untilMs;
  return changeSome(
    jobs.map(({ row }) => row),
    new Set(jobs.filter((job) => !isPausedSo(job)).map(({ row }) => row.uid)),
    async (rows) => {
      const prepared = await prepareJobs(tx, parts, rows);
      const changes = prepared.map((job) => {
        const {
          note: pauseNote,
          untilMs,
          state = "PAUSED",
          disableReason = null,
        } = pauses.get(job.row.uid) ?? NO_PAUSE;
        return { job, change: { ...unchanged(parts, job), state, pauseNote, untilMs, disableReason } };
      });
      return writeChanges(tx, parts, changes);
    },
  );
}

const NO_PAUSE: Halt = { note: "", untilMs: null };

// Changes some of the rows, and returns all in their order.
async function changeSome(
  rows: readonly JobRow[],
  uids: ReadonlySet<string>,
  change: (some: readonly JobRow[]) => Promise<JobRow[]>,
): Promise<JobRow[]> {
  const changed = await change(rows.filter(({ uid }) => uids.has(uid)));
  const byUid = new Map(changed.map((row) => [row.uid, row]));
  return rows.map((row) => byUid.get(row.uid) ?? row);
}

function one(rows: readonly JobRow[]): JobRow {
  const [row] = rows;
  if (row === undefined) throw new Error("The change of a job returned no row.");
  return row;
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
 * Resumes a paused or disabled job and returns its row. It fires again from its first fire time after now. Does nothing
 * to another job. Throws JOB_NOT_FOUND or ETAG_MISMATCH.
 */
export async function resumeJob(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  reference: JobReference,
): Promise<JobRow> {
  const resumed = await parts.database.transaction(async (tx) =>
    one(await writeResumptions(tx, parts, [await lockJob(tx, reference)])),
  );
  parts.wake();
  return resumed;
}

/**
 * Resumes locked jobs and returns their rows, in the given order. A job that is neither paused nor disabled stays as it
 * is. The counts of their exhausted triggers start anew.
 */
export function writeResumptions(
  tx: Queryable,
  parts: ChangeParts,
  rows: readonly JobRow[],
): Promise<JobRow[]> {
  const nowMs = parts.clock.now();
  const paused = new Set(rows.filter((row) => isHalted(stateAt(row, nowMs))).map(({ uid }) => uid));
  return changeSome(rows, paused, async (some) => {
    const prepared = await prepareJobs(tx, parts, some);
    const changes = prepared.map((job) => ({
      job,
      change: { ...unchanged(parts, job), state: "ACTIVE" as const, ...NOT_HALTED },
    }));
    await restartCounts(tx, prepared, { isOtherTarget: false });
    return writeChanges(tx, parts, changes);
  });
}

const NOT_HALTED = { pauseNote: "", untilMs: null, disableReason: null };

/** Deletes a job and cancels its unfinished triggers. Throws JOB_NOT_FOUND or ETAG_MISMATCH. */
export function deleteJob(
  parts: ChangeParts & Pick<Parts, "database">,
  reference: JobReference,
): Promise<JobRow> {
  return parts.database.transaction(async (tx) =>
    one(await deleteJobs(tx, parts, [await lockJob(tx, reference)])),
  );
}

/** Deletes locked jobs, cancels their unfinished triggers, and returns their rows, in the given order. */
export async function deleteJobs(
  tx: Queryable,
  parts: ChangeParts,
  rows: readonly JobRow[],
): Promise<JobRow[]> {
  const prepared = await prepareJobs(tx, parts, rows);
  const [first] = prepared;
  if (first === undefined) return [];
  const uids = prepared.map(({ row }) => row.uid).sort();
  await tx.query(jobsCancelTriggers, [uids, toSqlTime(first.changeTimeMs)]);
  return writeDeletions(tx, parts, prepared);
}

/** Marks prepared jobs as deleted. The caller must deal with their unfinished triggers. */
export async function writeDeletions(
  tx: Queryable,
  parts: Pick<Parts, "schedules" | "lookAheadMs">,
  prepared: readonly PreparedJob[],
): Promise<JobRow[]> {
  const changes = prepared.map((job) => ({
    job,
    change: {
      ...unchanged(parts, job),
      state: "DELETED" as const,
      ...NOT_HALTED,
      requested: [],
    },
  }));
  await changeFacets(
    tx,
    prepared.map(({ row }) => ({ row, after: undefined })),
  );
  await tx.query(failingJobsDelete, [prepared.map(({ row }) => row.uid)]);
  return writeChanges(tx, parts, changes);
}
