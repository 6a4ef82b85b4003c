import { timestampMs } from "@bufbuild/protobuf/wkt";
import { typeid } from "typeid-js";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { BatchPauseJobsRequest, BatchResumeJobsRequest } from "../../gen/easycron/v1/job_batch_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import type { ChangeParts } from "../changes/change-job.ts";
import { checkUntil, type Halt, writePauses, writeResumptions } from "../changes/pause-job.ts";
import type { StoredDisableReason } from "../job/disable-reason.ts";
import { isHalted, type JobRow, type JobStateName, stateAt } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { toFilterValues } from "../reading/job-filter.sql.ts";
import { filterOfLabels, inStates, parseJobFilter } from "../reading/job-filter.ts";
import { type BatchRow, jobsByFilter, jobsByNames, undoByUid, undoInsert } from "./batch.sql.ts";
import { findJobs } from "./change.ts";
import { changeTogether } from "./change-together.ts";

/** The most jobs that one call pauses or resumes. */
const MAX_JOBS = 1_000;

/** What is needed to undo a batch for one job. */
interface UndoEntry {
  readonly uid: string;
  readonly name: string;
  /** The job's epoch after the batch. If the job has another epoch now, it has been changed since and is left alone. */
  readonly epoch: number;
  /** The note of the pause before the batch; empty if the job was not paused. */
  readonly note: string;
  /** The end of the pause before the batch, in epoch milliseconds. */
  readonly untilMs: number | null;
  /** The job's state before the batch. Undefined in entries from before it was kept. */
  readonly state?: JobStateName;
  /** Why EasyCron had paused or disabled the job before the batch; null or undefined if it had not. */
  readonly disableReason?: StoredDisableReason | null;
}

/** The result of a batch. */
export interface BatchChanged {
  readonly rows: readonly JobRow[];
  /** Empty if no job was changed. */
  readonly undoToken: string;
  /** Whether more jobs match the selection than one call changes. */
  readonly more: boolean;
}

/**
 * Pauses the selected jobs that are neither paused nor disabled, at most 1,000. Throws FIELD_INVALID or JOB_NOT_FOUND, in both cases
 * before it pauses any job.
 */
export async function batchPauseJobs(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  request: BatchPauseJobsRequest,
): Promise<BatchChanged> {
  const untilMs = request.until === undefined ? null : timestampMs(request.until);
  checkUntil(untilMs, parts.clock.now());
  const { jobs, entries, more } = await select(parts, projectId, request, "ACTIVE");
  const pauseOf = ({ uid }: { readonly uid: string }): Halt => {
    const entry = entries.get(uid);
    return entry === undefined ? { note: request.note, untilMs } : toHalt(entry);
  };
  const nowMs = parts.clock.now();
  // When a resumption is undone, a pause that would have ended by now does not begin again.
  const isOver = (job: BatchRow) => (pauseOf(job).untilMs ?? Number.POSITIVE_INFINITY) <= nowMs;
  const selected = { jobs: jobs.filter((job) => !isOver(job)), more };
  return change(parts, projectId, selected, (tx, rows) =>
    writePauses(
      tx,
      parts,
      rows.map((row) => ({ row, pause: pauseOf(row) })),
    ),
  );
}

/**
 * Resumes the selected jobs that are paused or disabled, at most 1,000. Throws FIELD_INVALID or JOB_NOT_FOUND, in both cases before
 * it resumes any job.
 */
export async function batchResumeJobs(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  request: BatchResumeJobsRequest,
): Promise<BatchChanged> {
  const selected = await select(parts, projectId, request, "PAUSED");
  return change(parts, projectId, selected, (tx, rows) => writeResumptions(tx, parts, rows));
}

/** Returns how a job was halted before the batch that an entry undoes. */
function toHalt({ note, untilMs, state, disableReason = null }: UndoEntry): Halt {
  return { note, untilMs, state: state === "DISABLED" ? state : "PAUSED", disableReason };
}

interface Selected {
  readonly jobs: readonly BatchRow[];
  readonly more: boolean;
}

async function select(
  parts: Pick<Parts, "database" | "clock">,
  projectId: string,
  by: Pick<BatchPauseJobsRequest, "names" | "labels" | "filter" | "undoToken">,
  wanted: "ACTIVE" | "PAUSED",
): Promise<Selected & { readonly entries: ReadonlyMap<string, UndoEntry> }> {
  const labelled = Object.keys(by.labels).length > 0;
  const given = [by.names.length > 0, labelled, by.filter.trim() !== "", by.undoToken !== ""];
  const count = given.filter((each) => each).length;
  if (count !== 1) {
    const problem = `${count} of names, labels, filter and undoToken are set; set exactly one of them.`;
    throw fieldFailure("FIELD_INVALID", "names", problem);
  }
  const now = parts.clock.now();
  const isWanted = (row: BatchRow) => isHalted(stateAt(row, now)) === (wanted === "PAUSED");
  if (by.undoToken !== "") {
    const entries = await readUndo(parts, projectId, by.undoToken);
    const names = [...entries.values()].map(({ name }) => name);
    const rows = await parts.database.query(jobsByNames, [projectId, names]);
    const same = rows.filter((row) => entries.get(row.uid)?.epoch === row.epoch);
    return { jobs: same.filter(isWanted), more: false, entries };
  }
  const entries = new Map<string, UndoEntry>();
  if (by.names.length > 0) {
    const jobs = await findJobs(parts, projectId, by.names, { allowMissing: false, list: "names" });
    return { jobs: jobs.filter(isWanted), more: false, entries };
  }
  const filter = labelled ? filterOfLabels(by.labels) : parseJobFilter(by.filter);
  const changed = inStates(filter, wanted === "PAUSED" ? ["PAUSED", "DISABLED"] : ["ACTIVE", "FINISHED"]);
  const values = toFilterValues(projectId, changed, now);
  const rows = await parts.database.query(jobsByFilter, [...values, MAX_JOBS + 1]);
  return { jobs: rows.slice(0, MAX_JOBS), more: rows.length > MAX_JOBS, entries };
}

async function change(
  parts: Pick<Parts, "database" | "clock" | "wake">,
  projectId: string,
  { jobs, more }: Selected,
  work: (tx: Queryable, rows: readonly JobRow[]) => Promise<readonly JobRow[]>,
): Promise<BatchChanged> {
  const rows = await changeTogether(parts, projectId, "names", jobs, work);
  parts.wake();
  const before = new Map(jobs.map((job) => [job.uid, job]));
  const entries = rows.map(({ uid, name, epoch }): UndoEntry => {
    const job = before.get(uid);
    const {
      pause_note: note = "",
      pause_until: untilMs = null,
      disable_reason: disableReason = null,
    } = job ?? {};
    return { uid, name, epoch, note, untilMs, disableReason, ...(job && { state: job.state }) };
  });
  const undoToken = entries.length === 0 ? "" : typeid("undo").toString();
  if (undoToken !== "") {
    const time = toSqlTime(parts.clock.now());
    await parts.database.query(undoInsert, [undoToken, projectId, JSON.stringify(entries), time]);
  }
  return { rows, undoToken, more };
}

async function readUndo(
  parts: Pick<Parts, "database">,
  projectId: string,
  token: string,
): Promise<Map<string, UndoEntry>> {
  const [row] = await parts.database.query(undoByUid, [projectId, token]);
  if (row === undefined) {
    const problem = `"${token}" is not the undoToken of a batch of the last 30 days; select the jobs in another way.`;
    throw fieldFailure("FIELD_INVALID", "undoToken", problem);
  }
  const entries = JSON.parse(row.entries) as UndoEntry[];
  return new Map(entries.map((entry) => [entry.uid, entry]));
}
