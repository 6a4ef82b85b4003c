import { clone, create, equals, isFieldSet } from "@bufbuild/protobuf";
import type { Queryable } from "../../db/pool.ts";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import {
  CreateJobRequestSchema,
  type UpdateJobRequest,
  UpdateJobRequestSchema,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { EasyCronError, failure, fieldFailure } from "../../mesh/errors.ts";
import { bindCalendars, gatesOf } from "../calendars/calendars.ts";
import { withSnapshots } from "../calendars/edges.ts";
import { fromSpecJson, type JobRow, payloadOf } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { keepSecrets } from "../job/secrets.ts";
import type { Parts } from "../parts.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";
import { updateMaskInvalid } from "../requests/update-mask.ts";
import { refusePast } from "../schedules/refuse-past.ts";
import { type ChangeParts, prepareJobs, unchanged, writeChanges } from "./change-job.ts";
import { type CheckedSpec, calendarNames, checkSpec } from "./check-spec.ts";
import { createJob, type WrittenJob } from "./create-job.ts";
import { keepAnchors } from "./job-defaults.ts";
import { checkEtag, lockJob } from "./lock-job.ts";
import { restartCounts } from "./restart-counts.ts";
import { addRevisions } from "./write-revision.ts";

/** The fields of a job that an update mask may name, by their proto names. */
export const UPDATABLE = [
  "schedules",
  "start_time",
  "end_time",
  "max_fires",
  "calendars",
  "flexible_window",
  "misfire_policy",
  "catchup_window",
  "max_catchup",
  "overlap_policy",
  "after_completion",
  "auto_disable",
  "ordering",
  "target",
  "payload",
  "retry_policy",
  "attempt_timeout",
  "flow",
  "acknowledgement",
  "labels",
  "alerts",
] as const;

/**
 * Adds a revision in which the fields that the mask names have their new values. Adds none if nothing differs. With
 * `allowMissing`, creates the job if it does not exist. With `validateOnly`, nothing is stored. `actor` is the API
 * key's id. Throws JOB_NOT_FOUND (unless `allowMissing`), ETAG_MISMATCH, UPDATE_MASK_INVALID, REQUEST_ID_REUSED, and
 * what `checkSpec` and `refusePast` throw.
 */
export async function updateJob(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  request: UpdateJobRequest,
  actor = "",
): Promise<WrittenJob> {
  const { given, fields } = readUpdate(request);
  try {
    return await writeUpdate(parts, projectId, { request, given, fields, actor });
  } catch (error) {
    const missing = error instanceof EasyCronError && error.reason === "JOB_NOT_FOUND";
    if (!missing || !request.allowMissing) throw error;
    const { requestId, validateOnly } = request;
    return createJob(
      parts,
      projectId,
      create(CreateJobRequestSchema, { job: given, requestId, validateOnly }),
      actor,
    );
  }
}

function readMask(request: UpdateJobRequest, given: Job): readonly string[] {
  const paths = (request.updateMask?.paths ?? []).map((path) => (path === "payload_json" ? "payload" : path));
  if (paths.length === 1 && paths[0] === "*") return UPDATABLE;
  const wrong = paths.find((path) => !UPDATABLE.some((name) => name === path));
  if (wrong !== undefined) throw updateMaskInvalid(wrong, UPDATABLE);
  if (paths.length > 0) return paths;
  return UPDATABLE.filter((name) => {
    if (name === "payload") return payloadOf(given).payloadJson !== undefined;
    const field = JobSchema.fields.find((each) => each.name === name);
    return field !== undefined && isFieldSet(given, field);
  });
}

interface Update {
  readonly request: UpdateJobRequest;
  readonly given: Job;
  readonly fields: readonly string[];
  readonly actor: string;
}

async function writeUpdate(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  { request, given, fields, actor }: Update,
): Promise<WrittenJob> {
  const fingerprint = fingerprintOf(UpdateJobRequestSchema, request);
  const use: RequestUse = { projectId, requestId: request.requestId, fingerprint };
  const written = await parts.database.transaction(async (tx): Promise<WrittenJob> => {
    const earlier = await findEarlierUse(tx, use);
    const [done] = earlier === undefined ? [] : await tx.query(jobByUid, [projectId, earlier.job_uid]);
    if (done !== undefined) return { row: done, schedule: parts.schedules.of(done) };
    const before = await lockJob(tx, { projectId, name: given.name, etag: given.etag });
    const plan = await planUpdate(tx, parts, before, { given, fields });
    if (request.validateOnly) return toValidated(plan);
    if (!(await rememberUse(tx, use, { jobUid: before.uid, nowMs: parts.clock.now() }))) {
      throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 100 });
    }
    const [row = before] = await writeUpdates(tx, parts, projectId, [plan], actor);
    return { row, schedule: plan.checked.schedule };
  });
  parts.wake();
  return written;
}

/** A checked update of a job. */
export interface PlannedUpdate {
  /** The row of the job before the update. */
  readonly before: JobRow;
  /** The specification after it. */
  readonly checked: CheckedSpec;
  /** Whether the update changes nothing. */
  readonly isSame: boolean;
  /** Whether the job has another target after it. */
  readonly isOtherTarget: boolean;
}

/** What an update asks for: a job, and the names of its fields that take effect. */
export interface AskedUpdate {
  readonly given: Job;
  readonly fields: readonly string[];
}

/** Returns what an update request of an existing job asks for. Throws UPDATE_MASK_INVALID. */
export function readUpdate(request: UpdateJobRequest): AskedUpdate {
  const { job: given } = request;
  if (given === undefined) throw fieldFailure("FIELD_INVALID", "job", "It is required.");
  return { given, fields: readMask(request, given) };
}

/** Checks an update of a job. Throws ETAG_MISMATCH and what `checkSpec` and `refusePast` throw. */
export async function planUpdate(
  on: Queryable,
  parts: Pick<Parts, "clock" | "zoneData">,
  before: JobRow,
  { given, fields }: AskedUpdate,
): Promise<PlannedUpdate> {
  checkEtag(before, given.etag);
  const { project_id: projectId } = before;
  const former = fromSpecJson(before.spec);
  const changed = keepSecrets(former, keepAnchors(former, merge(former, given, fields)));
  const merged = await withSnapshots(on, projectId, changed);
  const checked = checkSpec(parts, merged, before.uid, (wanted) =>
    refusePast(wanted, parts.clock.now(), former),
  );
  await gatesOf(on, parts.zoneData, projectId, checked.schedule.calendars);
  const after = fromSpecJson(checked.spec);
  const isSame = equals(JobSchema, after, former);
  const pick = ({ target }: Job) => create(JobSchema, target === undefined ? {} : { target });
  return { before, checked, isSame, isOtherTarget: !isSame && !equals(JobSchema, pick(after), pick(former)) };
}

/** Returns the job as it would be after an update that is only validated. */
export function toValidated({ before, checked, isSame }: PlannedUpdate): WrittenJob {
  const { spec, schedule } = checked;
  return { row: isSame ? before : { ...before, spec, revision: before.revision + 1 }, schedule };
}

/**
 * Writes planned updates of locked jobs of a project, and returns the rows in the given order. An update that changes
 * nothing adds no revision. The number of statements does not depend on the number of jobs.
 */
export async function writeUpdates(
  tx: Queryable,
  parts: ChangeParts,
  projectId: string,
  plans: readonly PlannedUpdate[],
  actor: string,
): Promise<JobRow[]> {
  const changed = new Map(
    plans.filter(({ isSame }) => !isSame).map((plan) => [plan.before.uid, plan.checked]),
  );
  const rows = plans.map(({ before }) => before);
  const prepared = await prepareJobs(
    tx,
    parts,
    rows.filter(({ uid }) => changed.has(uid)),
  );
  // What failed at the former target says nothing about the new one.
  const retargeted = new Set(
    plans.flatMap(({ before, isOtherTarget }) => (isOtherTarget ? [before.uid] : [])),
  );
  await restartCounts(
    tx,
    prepared.filter(({ row }) => retargeted.has(row.uid)),
    { isOtherTarget: true },
  );
  const changes = prepared.flatMap((job) => {
    const checked = changed.get(job.row.uid);
    if (checked === undefined) return [];
    const { spec, schedule } = checked;
    const number = job.row.revision + 1;
    const revision = { number, spec, actor, zoneData: schedule.zoneData };
    const names = calendarNames(checked.job);
    const change = { ...unchanged(parts, job), revision: number, schedule };
    return { job, revision, change, binding: { jobUid: job.row.uid, names } };
  });
  await addRevisions(tx, changes);
  await bindCalendars(
    tx,
    projectId,
    changes.map(({ binding }) => binding),
  );
  const written = new Map((await writeChanges(tx, parts, changes)).map((row) => [row.uid, row]));
  return rows.map((row) => written.get(row.uid) ?? row);
}

function merge(before: Job, asked: Job, fields: readonly string[]): Job {
  const job = clone(JobSchema, before);
  const given = { ...asked, ...payloadOf(asked) };
  if (fields.includes("schedules")) job.schedules = given.schedules;
  if (fields.includes("calendars")) job.calendars = given.calendars;
  if (fields.includes("labels")) job.labels = given.labels;
  if (fields.includes("max_fires")) job.maxFires = given.maxFires;
  if (fields.includes("misfire_policy")) job.misfirePolicy = given.misfirePolicy;
  if (fields.includes("max_catchup")) job.maxCatchup = given.maxCatchup;
  if (fields.includes("overlap_policy")) job.overlapPolicy = given.overlapPolicy;
  if (fields.includes("after_completion")) job.afterCompletion = given.afterCompletion;
  if (fields.includes("ordering")) job.ordering = given.ordering;
  for (const [path, key] of MESSAGES) if (fields.includes(path)) replace(job, given, key);
  return job;
}

const MESSAGES = [
  ["start_time", "startTime"],
  ["end_time", "endTime"],
  ["flexible_window", "flexibleWindow"],
  ["catchup_window", "catchupWindow"],
  ["target", "target"],
  ["payload", "payloadJson"],
  ["retry_policy", "retryPolicy"],
  ["attempt_timeout", "attemptTimeout"],
  ["flow", "flow"],
  ["acknowledgement", "acknowledgement"],
  ["auto_disable", "autoDisable"],
  ["alerts", "alerts"],
] as const;

// A field that the mask names but the request leaves out is cleared, so it gets its default again.
function replace<K extends (typeof MESSAGES)[number][1]>(job: Job, given: Job, key: K): void {
  const value = given[key];
  if (value === undefined) delete job[key];
  else job[key] = value as Job[K] & {};
}
