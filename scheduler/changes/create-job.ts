import { typeid } from "typeid-js";
import type { Queryable } from "../../db/pool.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { type CreateJobRequest, CreateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { type EasyCronError, failure, fieldFailure } from "../../mesh/errors.ts";
import { bindCalendars, gatesOf } from "../calendars/calendars.ts";
import { withSnapshots } from "../calendars/edges.ts";
import type { JobRow } from "../job/job.ts";
import { jobByName, jobByUid } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { findEarlierUse, fingerprintOf, isSeen, noteUse, type RequestUse } from "../requests/request-id.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { refusePast } from "../schedules/refuse-past.ts";
import { type CheckedSpec, calendarNames, checkSpec } from "./check-spec.ts";
import { insertJobs, isNameTaken, type NewJob, newRow } from "./insert-jobs.ts";

/** What creating jobs uses. */
export type CreateParts = Pick<
  Parts,
  "database" | "schedules" | "zoneData" | "clock" | "lookAheadMs" | "wake" | "seen"
>;

/** A job after a write. If the request was only validated, the job as the write would have left it. */
export interface WrittenJob {
  readonly row: JobRow;
  /** The row's schedule. Do not read it from the cache: after a validation only, the cache has no such revision. */
  readonly schedule: CompiledSchedule;
  /** The specification of a job that was just created. To show the job changes it. */
  readonly created?: Job;
}

/**
 * Creates a job. Its first fire time is the first one after now. A repeated request id returns the job that was created
 * first. With `validateOnly` nothing is stored. `actor` is the API key's id. Throws JOB_ALREADY_EXISTS,
 * REQUEST_ID_REUSED, and what `checkSpec` and `refusePast` throw.
 */
export async function createJob(
  parts: CreateParts,
  projectId: string,
  request: CreateJobRequest,
  actor = "",
): Promise<WrittenJob> {
  const { job: given, requestId, validateOnly } = request;
  if (given === undefined) throw fieldFailure("FIELD_INVALID", "job", "It is required.");
  const use = { projectId, requestId, fingerprint: fingerprintOf(CreateJobRequestSchema, request) };
  const earlier = () => earlierJob(parts, use, given.name);
  if (validateOnly) return (await earlier()) ?? validatedJob(parts, projectId, given);
  // Most requests are no repetition, so it is only asked when it was seen lately, or when the job cannot be created.
  const repeated = (await isSeen(parts.seen, use)) ? await earlier() : undefined;
  if (repeated !== undefined) return repeated;
  let checked: CheckedJob;
  try {
    checked = await checkJob(parts, projectId, given);
  } catch (error) {
    const found = await earlier();
    if (found === undefined) throw error;
    return found;
  }
  const row = await insertJob(parts, { projectId, actor }, { ...checked, use });
  if (row !== undefined) {
    noteUse(parts.seen, use);
    return toWritten(row, checked.checked);
  }
  return (await earlier()) ?? createJob(parts, projectId, request, actor);
}

/** Returns the job that an earlier call with the same request id created; undefined if there was none. */
async function earlierJob(
  parts: Pick<Parts, "database" | "schedules">,
  use: RequestUse,
  name: string,
): Promise<WrittenJob | undefined> {
  const earlier = await findEarlierUse(parts.database, use);
  if (earlier === undefined) return undefined;
  const [row] = await parts.database.query(jobByUid, [use.projectId, earlier.job_uid]);
  if (row === undefined) throw failure("JOB_NOT_FOUND", { job: name });
  return { row, schedule: parts.schedules.of(row) };
}

/** Returns a job that was just created, or that would be. */
export function toWritten(row: JobRow, { schedule, kept }: CheckedSpec): WrittenJob {
  return { row, schedule, created: kept };
}

type CheckedJob = Pick<NewJob, "uid" | "checked">;

async function checkJob(
  parts: Pick<Parts, "database" | "zoneData" | "clock">,
  projectId: string,
  given: Job,
): Promise<CheckedJob> {
  const uid = typeid("job").toString();
  const job = await withSnapshots(parts.database, projectId, given);
  const checked = checkSpec(parts, job, uid, (wanted) => refusePast(wanted, parts.clock.now()));
  await gatesOf(parts.database, parts.zoneData, projectId, checked.schedule.calendars);
  return { uid, checked };
}

async function validatedJob(
  parts: Pick<Parts, "database" | "zoneData" | "clock" | "lookAheadMs">,
  projectId: string,
  given: Job,
): Promise<WrittenJob> {
  const { uid, checked } = await checkJob(parts, projectId, given);
  const [taken] = await parts.database.query(jobByName, [projectId, given.name]);
  if (taken !== undefined) throw nameTaken(given.name);
  return toWritten(newRow(parts, { uid, projectId, now: parts.clock.now() }, checked), checked);
}

// Returns undefined when another call with the same request id was first.
async function insertJob(
  parts: Pick<Parts, "database" | "clock" | "lookAheadMs" | "wake">,
  { projectId, actor }: { readonly projectId: string; readonly actor: string },
  job: NewJob,
): Promise<JobRow | undefined> {
  const names = calendarNames(job.checked.job);
  const insert = async (on: Queryable) => {
    const to = { projectId, actor, now: parts.clock.now() };
    const [row] = await insertJobs(on, parts, to, [job]);
    if (row !== undefined && names.length > 0)
      await bindCalendars(on, projectId, [{ jobUid: job.uid, names }]);
    return row;
  };
  try {
    const row = await (names.length > 0 ? parts.database.transaction(insert) : insert(parts.database));
    parts.wake();
    return row;
  } catch (error) {
    throw isNameTaken(error) ? nameTaken(job.checked.job.name, error) : error;
  }
}

function nameTaken(name: string, cause?: unknown): EasyCronError {
  return failure("JOB_ALREADY_EXISTS", { job: name }, cause === undefined ? {} : { cause });
}
