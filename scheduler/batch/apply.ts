import { clone, equals } from "@bufbuild/protobuf";
import type { ApplyJobsRequest } from "../../gen/easycron/v1/job_batch_pb.ts";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { eachOrThrow, type ItemError, throwIfAny } from "../../mesh/batch-error.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import type { ChangeParts } from "../changes/change-job.ts";
import { checkSpec } from "../changes/check-spec.ts";
import { keepAnchors } from "../changes/job-defaults.ts";
import { deleteJobs } from "../changes/pause-job.ts";
import { UPDATABLE } from "../changes/update-job.ts";
import { fromSpecJson } from "../job/job.ts";
import { keepSecrets } from "../job/secrets.ts";
import type { Parts } from "../parts.ts";
import { toFilterValues } from "../reading/job-filter.sql.ts";
import { filterOfLabels } from "../reading/job-filter.ts";
import { refusePast } from "../schedules/refuse-past.ts";
import { type BatchRow, jobsByFilter, jobsByNames } from "./batch.sql.ts";
import { changeTogether } from "./change-together.ts";
import { type CheckedJob, checkJobs, createTogether, withAllSnapshots } from "./create.ts";
import { type UpdateOfJob, updateTogether } from "./update-together.ts";

/** The most jobs of the project that may have the request's labels. */
const MAX_LABELLED = 2_000;
const LIST = "jobs";

/** The names of the jobs that were created, updated and deleted, and how many were left as they are. */
export interface Applied {
  readonly created: readonly string[];
  readonly updated: readonly string[];
  readonly deleted: readonly string[];
  readonly unchangedCount: number;
}

interface Plan {
  readonly create: readonly CheckedJob[];
  readonly update: readonly UpdateOfJob[];
  readonly delete: readonly BatchRow[];
  readonly unchangedCount: number;
}

/**
 * Creates, updates and deletes jobs until those with the request's labels are exactly the given ones. Checks everything
 * before it changes anything. A paused job stays paused, because an update does not change the state. Throws what
 * `createJob` and `updateJob` throw, with the index of each wrong job; JOB_ALREADY_EXISTS for a name that a job without
 * these labels has; and FIELD_INVALID when more than 2,000 jobs have the labels.
 */
export async function applyJobs(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  request: ApplyJobsRequest,
  actor: string,
): Promise<Applied> {
  const plan = await makePlan(parts, projectId, request);
  const applied = {
    created: plan.create.map(({ checked }) => checked.job.name),
    updated: plan.update.map(({ given }) => given.name),
    deleted: plan.delete.map(({ name }) => name),
    unchangedCount: plan.unchangedCount,
  };
  if (request.validateOnly) return applied;
  if (plan.create.length > 0) {
    await createTogether(parts, { projectId, actor, list: LIST }, plan.create);
  }
  await updateTogether(parts, { projectId, actor, list: LIST }, plan.update);
  await changeTogether(parts, projectId, LIST, plan.delete, (tx, rows) => deleteJobs(tx, parts, rows));
  parts.wake();
  return applied;
}

async function makePlan(
  parts: Pick<Parts, "database" | "zoneData" | "clock">,
  projectId: string,
  request: ApplyJobsRequest,
): Promise<Plan> {
  const labelled = await readLabelled(parts, projectId, request.labels);
  const names = request.jobs.map(({ name }) => name);
  const given = new Set(names);
  const existing = new Map(
    (await parts.database.query(jobsByNames, [projectId, names])).map((row) => [row.name, row]),
  );
  refuseForeign(request.jobs, existing, labelled);
  const wanted = request.jobs.map((job) => {
    const row = existing.get(job.name);
    const labelled = withLabels(job, request.labels);
    return row === undefined ? labelled : keepSecrets(fromSpecJson(row.spec), labelled);
  });
  const jobs = await withAllSnapshots(parts, projectId, wanted, LIST);
  // All jobs are checked as new ones first, so that one error names every wrong job by its index. Then those that exist
  // are compared with their current specification.
  const checked = checkJobs(parts, jobs, LIST, (wanted) => {
    if (!existing.has(wanted.job.name)) refusePast(wanted, parts.clock.now());
  });
  const missing = checked.filter((item) => !existing.has(item.checked.job.name));
  const changed = eachOrThrow(LIST, checked, (item, index) => {
    const row = existing.get(item.checked.job.name);
    const job = jobs[index];
    return row !== undefined && job !== undefined ? changeOf(parts, job, row) : undefined;
  });
  return {
    create: missing,
    update: changed.filter((job) => job !== undefined),
    delete: [...labelled.values()].filter(({ name }) => !given.has(name)),
    unchangedCount: jobs.length - missing.length - changed.filter((job) => job !== undefined).length,
  };
}

async function readLabelled(
  parts: Pick<Parts, "database" | "clock">,
  projectId: string,
  labels: Readonly<Record<string, string>>,
): Promise<Map<string, BatchRow>> {
  const values = toFilterValues(projectId, filterOfLabels(labels), parts.clock.now());
  const rows = await parts.database.query(jobsByFilter, [...values, MAX_LABELLED + 1]);
  if (rows.length > MAX_LABELLED) {
    const problem = `More than ${MAX_LABELLED} jobs have these labels, the most that can be applied; use labels that fewer jobs have.`;
    throw fieldFailure("FIELD_INVALID", "labels", problem);
  }
  return new Map(rows.map((row) => [row.name, row]));
}

function refuseForeign(
  jobs: readonly Job[],
  existing: ReadonlyMap<string, BatchRow>,
  labelled: ReadonlyMap<string, BatchRow>,
): void {
  const errors: ItemError[] = [];
  for (const [index, { name }] of jobs.entries()) {
    if (!existing.has(name) || labelled.has(name)) continue;
    const description = `The existing job "${name}" does not have these labels; add them to it first.`;
    const violations = [{ field: "job.name", description }];
    errors.push({ index, error: failure("JOB_ALREADY_EXISTS", { job: name }, { violations }) });
  }
  throwIfAny(LIST, errors);
}

function withLabels(given: Job, labels: Readonly<Record<string, string>>): Job {
  const job = clone(JobSchema, given);
  for (const [key, value] of Object.entries(labels)) job.labels[key] = value;
  job.etag = "";
  return job;
}

// Returns an update of every field if the specification differs from the current one, else undefined.
function changeOf(
  parts: Pick<Parts, "zoneData" | "clock">,
  job: Job,
  row: BatchRow,
): UpdateOfJob | undefined {
  const before = fromSpecJson(row.spec);
  const checked = checkSpec(parts, keepAnchors(before, job), row.uid);
  if (equals(JobSchema, fromSpecJson(checked.spec), before)) return undefined;
  refusePast(checked, parts.clock.now(), before);
  return { uid: row.uid, given: job, fields: UPDATABLE };
}
