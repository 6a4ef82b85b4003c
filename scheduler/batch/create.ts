import { typeid } from "typeid-js";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import {
  type BatchCreateJobsRequest,
  BatchCreateJobsRequestSchema,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { eachAtOnce, eachOrThrow, type ItemError, itemPath, throwIfAny } from "../../mesh/batch-error.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import { bindCalendars } from "../calendars/calendars.ts";
import { hasEdges, withSnapshots } from "../calendars/edges.ts";
import type { CreateParts } from "../changes/create-job.ts";
import {
  type CheckedSpec,
  calendarNames,
  checkSpec,
  newRow,
  type WrittenJob,
} from "../changes/create-job.ts";
import { toFacetsJson } from "../job/facets.ts";
import type { JobRow } from "../job/job.ts";
import { jobByName } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";
import { refusePast } from "../schedules/refuse-past.ts";
import { epochsInsertFirst, jobsByNames, jobsInsertIfNew, revisionsInsertFirst } from "./batch.sql.ts";

/** A checked job that is to be created. */
export interface CheckedJob {
  readonly uid: string;
  readonly checked: CheckedSpec;
  /** Its index in the request's list. */
  readonly index: number;
}

const LIST = "requests";

/**
 * Creates all of the jobs or none, in one transaction. The number of statements does not depend on the number of jobs.
 * Throws what `createJob` throws, with the index of every wrong job in the path of the field.
 */
export async function batchCreateJobs(
  parts: CreateParts,
  projectId: string,
  request: BatchCreateJobsRequest,
  actor: string,
): Promise<WrittenJob[]> {
  const { requestId } = request;
  const fingerprint = fingerprintOf(BatchCreateJobsRequestSchema, request);
  const use: RequestUse = { projectId, requestId, fingerprint };
  const jobs = request.requests.map(({ job }) => job);
  if ((await findEarlierUse(parts.database, use)) !== undefined) return earlierJobs(parts, projectId, jobs);
  const items = checkJobs(parts, await withAllSnapshots(parts, projectId, jobs, LIST), LIST, (wanted) =>
    refusePast(wanted, parts.clock.now()),
  );
  if (request.validateOnly) {
    await refuseTaken(parts.database, projectId, items, LIST);
    return items.map((item) => toWrittenJob(parts, projectId, item, parts.clock.now()));
  }
  const created = await parts.database.transaction(async (tx) => {
    const now = parts.clock.now();
    if (!(await rememberUse(tx, use, { jobUid: "", nowMs: now }))) return undefined;
    return insertJobs(tx, parts, { projectId, actor, now, list: LIST }, items);
  });
  parts.wake();
  return created ?? earlierJobs(parts, projectId, jobs);
}

/** Does what `withSnapshots` does, for many jobs. Throws one error that lists all wrong jobs. */
export async function withAllSnapshots<J extends Job | undefined>(
  parts: Pick<Parts, "database">,
  projectId: string,
  jobs: readonly J[],
  list: string,
): Promise<readonly (J | Job)[]> {
  if (!jobs.some((job) => job !== undefined && hasEdges(job))) return jobs;
  return eachAtOnce(list, jobs, async (job) =>
    job === undefined ? job : withSnapshots(parts.database, projectId, job),
  );
}

/**
 * Checks jobs that are to be created. Throws one error that lists all wrong jobs, with what `also` throws for one of
 * them.
 */
export function checkJobs(
  parts: Pick<Parts, "zoneData" | "clock">,
  jobs: readonly (Job | undefined)[],
  list: string,
  also: (wanted: Pick<CheckedSpec, "job" | "schedule">) => void,
): CheckedJob[] {
  const first = new Map<string, number>();
  return eachOrThrow(list, jobs, (job, index) => {
    if (job === undefined) throw fieldFailure("FIELD_INVALID", "job", "It is required.");
    const duplicate = first.get(job.name);
    if (duplicate !== undefined) {
      const problem = `"${job.name}" is also the name of ${list}[${duplicate}]; give each job its own name.`;
      throw fieldFailure("FIELD_INVALID", "job.name", problem);
    }
    first.set(job.name, index);
    const uid = typeid("job").toString();
    return { uid, checked: checkSpec(parts, job, uid, also), index };
  });
}

/**
 * Inserts checked jobs. Throws JOB_ALREADY_EXISTS or CALENDAR_NOT_FOUND; then the caller's transaction must roll back.
 */
export async function insertJobs(
  tx: Queryable,
  parts: Pick<Parts, "lookAheadMs">,
  to: { readonly projectId: string; readonly actor: string; readonly now: number; readonly list: string },
  items: readonly CheckedJob[],
): Promise<WrittenJob[]> {
  const jobs = items.map((item) => toWrittenJob(parts, to.projectId, item, to.now));
  const rows = jobs.map(({ row }) => row);
  const uids = rows.map(({ uid }) => uid);
  const time = toSqlTime(to.now);
  const added = await tx.query(jobsInsertIfNew, [
    to.projectId,
    uids,
    rows.map(({ name }) => name),
    rows.map(({ state }) => state),
    rows.map((row) => toSqlTimeOrNull(row.next_fire_time)),
    rows.map((row) => toSqlTimeOrNull(row.wake_time)),
    time,
    jobs.map(({ schedule }) => schedule.policies.deleteFinished),
  ]);
  if (added.length < items.length) {
    const inserted = new Set(added.map(({ uid }) => uid));
    refuseNames(
      items.filter(({ uid }) => !inserted.has(uid)),
      to.list,
    );
  }
  await tx.query(revisionsInsertFirst, [
    uids,
    rows.map(({ spec }) => spec),
    rows.map((row) => row.zone_data),
    time,
    to.actor,
    items.map(({ checked }) => toFacetsJson(checked.job)),
  ]);
  await tx.query(epochsInsertFirst, [uids, time]);
  const bound = items.filter(({ checked }) => calendarNames(checked.job).length > 0);
  await bindCalendars(
    tx,
    to.projectId,
    bound.map(({ uid, checked, index }) => ({
      jobUid: uid,
      names: calendarNames(checked.job).map(({ name, version, field }) => ({
        name,
        version,
        field: itemPath(to.list, index, field),
      })),
    })),
  );
  return jobs;
}

function toWrittenJob(
  parts: Pick<Parts, "lookAheadMs">,
  projectId: string,
  { uid, checked }: CheckedJob,
  now: number,
): WrittenJob {
  return { row: newRow(parts, { uid, projectId, now }, checked), schedule: checked.schedule };
}

/** Throws JOB_ALREADY_EXISTS for the jobs whose names are in use. */
export async function refuseTaken(
  on: Queryable,
  projectId: string,
  items: readonly CheckedJob[],
  list: string,
): Promise<void> {
  const rows = await on.query(jobsByNames, [projectId, items.map(({ checked }) => checked.job.name)]);
  const taken = new Set(rows.map(({ name }) => name));
  refuseNames(
    items.filter(({ checked }) => taken.has(checked.job.name)),
    list,
  );
}

function refuseNames(items: readonly CheckedJob[], list: string): void {
  const errors: ItemError[] = items.map(({ checked, index }) => {
    const { name } = checked.job;
    const description = `A job named "${name}" already exists; use another name, or update that job.`;
    const violations = [{ field: "job.name", description }];
    return { index, error: failure("JOB_ALREADY_EXISTS", { job: name }, { violations }) };
  });
  throwIfAny(list, errors);
}

async function earlierJobs(
  parts: Pick<Parts, "database" | "schedules">,
  projectId: string,
  jobs: readonly (Job | undefined)[],
): Promise<WrittenJob[]> {
  const found: WrittenJob[] = [];
  for (const job of jobs) {
    const [row]: JobRow[] = await parts.database.query(jobByName, [projectId, job?.name ?? ""]);
    if (row === undefined) throw failure("JOB_NOT_FOUND", { job: job?.name ?? "" });
    found.push({ row, schedule: parts.schedules.of(row) });
  }
  return found;
}
