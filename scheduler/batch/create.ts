import { typeid } from "typeid-js";
import type { Queryable } from "../../db/pool.ts";
import {
  type BatchCreateJobsRequest,
  BatchCreateJobsRequestSchema,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { eachAtOnce, eachOrThrow, type ItemError, itemPath, throwIfAny } from "../../mesh/batch-error.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import { bindCalendars } from "../calendars/calendars.ts";
import { hasEdges, withSnapshots } from "../calendars/edges.ts";
import { type CheckedSpec, calendarNames, checkSpec } from "../changes/check-spec.ts";
import { type CreateParts, toWritten, type WrittenJob } from "../changes/create-job.ts";
import { insertJobs, isNameTaken, newRow } from "../changes/insert-jobs.ts";
import type { JobRow } from "../job/job.ts";
import { jobByName } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import { findEarlierUse, fingerprintOf, type RequestUse, rememberUse } from "../requests/request-id.ts";
import { refusePast } from "../schedules/refuse-past.ts";
import { jobsByNames } from "./batch.sql.ts";

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
    const to = { projectId, now: parts.clock.now() };
    return items.map(({ uid, checked }) => toWritten(newRow(parts, { ...to, uid }, checked), checked));
  }
  const created = await createTogether(parts, { projectId, actor, list: LIST }, items, use);
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

/** Whose jobs are created, by which API key, and the request's list of them. */
interface Together {
  readonly projectId: string;
  readonly actor: string;
  readonly list: string;
}

/**
 * Creates checked jobs: all or none. Returns undefined when another call with the same request id was first. Throws
 * JOB_ALREADY_EXISTS or CALENDAR_NOT_FOUND; SERVICE_UNAVAILABLE if a job with one of the names was deleted meanwhile.
 */
export async function createTogether(
  parts: CreateParts,
  to: Together,
  items: readonly CheckedJob[],
  use?: RequestUse,
): Promise<WrittenJob[] | undefined> {
  const bindings = bindingsOf(to.list, items);
  const write = async (on: Queryable): Promise<WrittenJob[] | undefined> => {
    const now = parts.clock.now();
    if (use !== undefined && !(await rememberUse(on, use, { jobUid: "", nowMs: now }))) return undefined;
    const rows = await insertJobs(on, parts, { ...to, now }, items);
    await bindCalendars(on, to.projectId, bindings);
    return items.flatMap(({ checked }, index) => {
      const row = rows[index];
      return row === undefined ? [] : [toWritten(row, checked)];
    });
  };
  // Without a request id and calendars there is one statement, which needs no transaction.
  const isOne = (use === undefined || use.requestId === "") && bindings.length === 0;
  try {
    return await (isOne ? write(parts.database) : parts.database.transaction(write));
  } catch (error) {
    if (!isNameTaken(error)) throw error;
    await refuseTaken(parts.database, to.projectId, items, to.list);
    throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { cause: error, retryAfterMs: 100 });
  }
}

function bindingsOf(list: string, items: readonly CheckedJob[]) {
  return items.flatMap(({ uid: jobUid, checked, index }) => {
    const names = calendarNames(checked.job).map(({ name, version, field }) => ({
      name,
      version,
      field: itemPath(list, index, field),
    }));
    return names.length === 0 ? [] : [{ jobUid, names }];
  });
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
