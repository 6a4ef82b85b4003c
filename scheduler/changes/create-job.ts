import { typeid } from "typeid-js";
import { isUniqueViolation, type Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { type CreateJobRequest, CreateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { collectErrors } from "../../mesh/all-errors.ts";
import { type EasyCronError, failure, fieldFailure } from "../../mesh/errors.ts";
import { type BoundName, bindCalendars, gatesOf } from "../calendars/calendars.ts";
import { edgeNames, withSnapshots } from "../calendars/edges.ts";
import { epochsInsert } from "../job/epochs.sql.ts";
import { toFacetsJson } from "../job/facets.ts";
import { type JobRow, type JobStateName, toSpecJson } from "../job/job.ts";
import { jobByName, jobByUid, jobInsert } from "../job/jobs.sql.ts";
import { revisionsInsert } from "../job/revisions.sql.ts";
import type { Parts } from "../parts.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";
import { refusePast } from "../schedules/refuse-past.ts";
import { checkRetryPolicy, withDefaults } from "./job-defaults.ts";

/** What creating jobs uses. */
export type CreateParts = Pick<
  Parts,
  "database" | "schedules" | "zoneData" | "clock" | "lookAheadMs" | "wake"
>;

/** A checked specification. */
export interface CheckedSpec {
  /** The job with every default written out. */
  readonly job: Job;
  /** The specification as proto3 JSON text. */
  readonly spec: string;
  readonly schedule: CompiledSchedule;
}

/**
 * Writes out a job's defaults and checks its target, policies, calendars and schedules. The field rules of the public
 * contract have been checked before. Throws SCHEDULE_INVALID, SCHEDULE_NEVER_FIRES, TIME_ZONE_UNKNOWN or FIELD_INVALID;
 * all that is wrong is in one error, with what `also` throws.
 */
export function checkSpec(
  parts: Pick<Parts, "clock" | "zoneData">,
  given: Job,
  uid: string,
  also: (checked: Pick<CheckedSpec, "job" | "schedule">) => void = () => {},
): CheckedSpec {
  const nowMs = parts.clock.now();
  const zoneData = parts.zoneData.inForce(nowMs);
  const job = withDefaults(given, nowMs);
  const errors = collectErrors();
  if (job.target === undefined)
    errors.add(fieldFailure("FIELD_INVALID", "job.target", "It is required: set webhook, redis or kafka."));
  errors.check(() => checkRetryPolicy(job));
  for (const error of calendarErrors(job)) errors.add(error);
  const schedule = errors.check(() => compileSchedule(job, uid, { zoneData }));
  if (schedule !== undefined) errors.check(() => also({ job, schedule }));
  errors.throwIfAny();
  if (schedule === undefined) throw new Error("A schedule that cannot be compiled made no error.");
  return { job, spec: toSpecJson(job), schedule };
}

function calendarErrors({ calendars }: Job): EasyCronError[] {
  return calendars.flatMap(({ name }, index) => {
    if (calendars.findIndex((each) => each.name === name) === index) return [];
    const problem = `"${name}" is listed twice; list each calendar once.`;
    return [fieldFailure("FIELD_INVALID", `job.calendars[${index}].name`, problem)];
  });
}

/** Returns the names of the calendars that a job refers to, each with the path of the field that names it. */
export function calendarNames(job: Pick<Job, "calendars" | "schedules">): BoundName[] {
  const gates = job.calendars.map(({ name }, index) => ({ name, field: `job.calendars[${index}].name` }));
  return [...gates, ...edgeNames(job)];
}

/** A job after a write. If the request was only validated, the job as the write would have left it. */
export interface WrittenJob {
  readonly row: JobRow;
  /** The row's schedule. Do not read it from the cache: after a validation only, the cache has no such revision. */
  readonly schedule: CompiledSchedule;
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
  const given = request.job;
  if (given === undefined) throw fieldFailure("FIELD_INVALID", "job", "It is required.");
  const use: RequestUse = {
    projectId,
    requestId: request.requestId,
    fingerprint: fingerprintOf(CreateJobRequestSchema, request),
  };
  const earlier = await findEarlierUse(parts.database, use);
  if (earlier !== undefined) return earlierJob(parts, projectId, earlier.job_uid, given.name);
  const uid = typeid("job").toString();
  const job = await withSnapshots(parts.database, projectId, given);
  const checked = checkSpec(parts, job, uid, (wanted) => refusePast(wanted, parts.clock.now()));
  const { schedule } = checked;
  await gatesOf(parts.database, parts.zoneData, projectId, schedule.calendars);
  if (request.validateOnly) return { row: await validatedRow(parts, projectId, uid, checked), schedule };
  const row = await insertJob(parts, { uid, projectId, actor }, checked, use);
  return row === undefined ? createJob(parts, projectId, request, actor) : { row, schedule };
}

async function earlierJob(
  parts: Pick<Parts, "database" | "schedules">,
  projectId: string,
  uid: string,
  name: string,
): Promise<WrittenJob> {
  const [row] = await parts.database.query(jobByUid, [projectId, uid]);
  if (row === undefined) throw failure("JOB_NOT_FOUND", { job: name });
  return { row, schedule: parts.schedules.of(row) };
}

interface NewJob {
  readonly uid: string;
  readonly projectId: string;
  readonly actor: string;
}

// Returns undefined when another call with the same request id was first.
async function insertJob(
  parts: Pick<Parts, "database" | "clock" | "lookAheadMs" | "wake">,
  job: NewJob,
  checked: CheckedSpec,
  use: RequestUse,
): Promise<JobRow | undefined> {
  const name = checked.job.name;
  try {
    const row = await parts.database.transaction(async (tx) => {
      const now = parts.clock.now();
      if (!(await rememberUse(tx, use, { jobUid: job.uid, nowMs: now }))) return undefined;
      await insertRows(tx, parts, { ...job, now }, checked);
      return (await tx.query(jobByUid, [job.projectId, job.uid]))[0];
    });
    parts.wake();
    return row;
  } catch (error) {
    if (isUniqueViolation(error, "jobs_live_name"))
      throw failure("JOB_ALREADY_EXISTS", { job: name }, { cause: error });
    throw error;
  }
}

async function insertRows(
  tx: Queryable,
  parts: Pick<Parts, "lookAheadMs">,
  { uid, projectId, actor, now }: NewJob & { readonly now: number },
  checked: CheckedSpec,
): Promise<void> {
  const row = newRow(parts, { uid, projectId, now }, checked);
  const [cursor, wake] = [toSqlTimeOrNull(row.next_fire_time), toSqlTimeOrNull(row.wake_time)];
  const time = toSqlTime(now);
  await tx.query(jobInsert, [
    uid,
    projectId,
    row.name,
    row.state,
    cursor,
    wake,
    time,
    checked.schedule.policies.deleteFinished,
  ]);
  const facets = toFacetsJson(checked.job);
  await tx.query(revisionsInsert, [
    [uid],
    [1],
    [checked.spec],
    [time],
    [actor],
    [row.zone_data],
    [0],
    [null],
    [facets],
  ]);
  await tx.query(epochsInsert, [[uid], [1], ["ACTIVE"], [1], [time], [null], [time], [""]]);
  const names = calendarNames(checked.job);
  if (names.length > 0) {
    await bindCalendars(tx, projectId, [{ jobUid: uid, names }]);
  }
}

function initialState(
  schedule: CompiledSchedule,
  nowMs: number,
): { state: JobStateName; cursorMs: number | null } {
  const cursorMs = schedule.nextAfter(nowMs);
  const isFinished = cursorMs === null && schedule.plan.schedules.length > 0;
  return { state: isFinished ? "FINISHED" : "ACTIVE", cursorMs };
}

async function validatedRow(
  parts: Pick<Parts, "database" | "clock" | "lookAheadMs">,
  projectId: string,
  uid: string,
  checked: CheckedSpec,
): Promise<JobRow> {
  const [taken] = await parts.database.query(jobByName, [projectId, checked.job.name]);
  if (taken !== undefined) throw failure("JOB_ALREADY_EXISTS", { job: checked.job.name });
  return newRow(parts, { uid, projectId, now: parts.clock.now() }, checked);
}

/** Returns the row of a job in its first revision. */
export function newRow(
  parts: Pick<Parts, "lookAheadMs">,
  { uid, projectId, now }: { readonly uid: string; readonly projectId: string; readonly now: number },
  { job, spec, schedule }: CheckedSpec,
): JobRow {
  const { state, cursorMs } = initialState(schedule, now);
  // With calendars or an overlap policy, the time to decide the first fire time can be another one. So the first turn
  // is taken at once and finds it.
  const isPlain = schedule.calendars.length === 0 && schedule.policies.overlap === "ALLOW_ALL";
  const wakeMs = cursorMs === null ? null : isPlain ? Math.max(now, cursorMs - parts.lookAheadMs) : now;
  return {
    uid,
    project_id: projectId,
    name: job.name,
    state,
    revision: 1,
    epoch: 1,
    next_fire_time: cursorMs,
    wake_time: wakeMs,
    after_time: now,
    carry: {},
    pause_until: null,
    last_fire_time: null,
    last_seq: 0,
    pause_note: "",
    create_time: now,
    update_time: now,
    spec,
    zone_data: schedule.zoneData,
  };
}
