import { create } from "@bufbuild/protobuf";
import type {
  BatchDeleteJobsRequest,
  BatchUpdateJobsItem,
  BatchUpdateJobsRequest,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import { type UpdateJobRequest, UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { eachOrThrow, type ItemError, throwIfAny } from "../../mesh/batch-error.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import type { ChangeParts } from "../changes/change-job.ts";
import type { WrittenJob } from "../changes/create-job.ts";
import { deleteJobs } from "../changes/pause-job.ts";
import { readUpdate } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { type BatchRow, jobsByNames } from "./batch.sql.ts";
import { changeTogether } from "./change-together.ts";
import { updateTogether, validateTogether } from "./update-together.ts";

const LIST = "requests";

/**
 * Updates jobs, at most 100 in one transaction. First validates all updates; if any is wrong, no job is changed. Throws
 * what `updateJob` throws, with the index of every wrong job.
 */
export async function batchUpdateJobs(
  parts: ChangeParts & Pick<Parts, "database" | "wake">,
  projectId: string,
  request: BatchUpdateJobsRequest,
  actor: string,
): Promise<WrittenJob[]> {
  refuseDuplicates(request.requests);
  const asked = eachOrThrow(LIST, request.requests, (item) => readUpdate(toUpdate(item)));
  const found = await findJobs(
    parts,
    projectId,
    asked.map(({ given }) => given.name),
    { allowMissing: false, list: LIST },
  );
  const uids = new Map(found.map(({ name, uid }) => [name, uid]));
  const updates = asked.map((update) => ({ ...update, uid: uids.get(update.given.name) ?? "" }));
  const validated = await validateTogether(parts, projectId, LIST, updates);
  return request.validateOnly ? validated : updateTogether(parts, { projectId, actor, list: LIST }, updates);
}

function toUpdate({ job, updateMask }: BatchUpdateJobsItem): UpdateJobRequest {
  const update = create(UpdateJobRequestSchema);
  if (job !== undefined) update.job = job;
  if (updateMask !== undefined) update.updateMask = updateMask;
  return update;
}

function refuseDuplicates(requests: readonly BatchUpdateJobsItem[]): void {
  const first = new Map<string, number>();
  const errors: ItemError[] = [];
  for (const [index, { job }] of requests.entries()) {
    const name = job?.name ?? "";
    const duplicate = first.get(name);
    if (duplicate === undefined) first.set(name, index);
    else {
      const problem = `"${name}" is also the name of ${LIST}[${duplicate}]; list each job once.`;
      errors.push({ index, error: fieldFailure("FIELD_INVALID", "job.name", problem) });
    }
  }
  throwIfAny(LIST, errors);
}

/**
 * Deletes jobs, at most 100 in one transaction. Unless `allowMissing` is set, throws JOB_NOT_FOUND if any job does not
 * exist, and then deletes none.
 */
export async function batchDeleteJobs(
  parts: ChangeParts & Pick<Parts, "database">,
  projectId: string,
  request: BatchDeleteJobsRequest,
): Promise<JobRow[]> {
  const found = await findJobs(parts, projectId, request.names, {
    allowMissing: request.allowMissing,
    list: "names",
  });
  return changeTogether(parts, projectId, "names", found, (tx, rows) => deleteJobs(tx, parts, rows));
}

/**
 * Returns the project's jobs with these names, in this order, without deleted ones. Unless `allowMissing` is set,
 * throws JOB_NOT_FOUND for names without a job, with the index of each in `list`.
 */
export async function findJobs(
  parts: Pick<Parts, "database">,
  projectId: string,
  names: readonly string[],
  { allowMissing, list }: { readonly allowMissing: boolean; readonly list: string },
): Promise<BatchRow[]> {
  const rows = await parts.database.query(jobsByNames, [projectId, names]);
  const byName = new Map(rows.map((row) => [row.name, row]));
  if (!allowMissing) {
    const errors: ItemError[] = [];
    for (const [index, name] of names.entries()) {
      if (!byName.has(name)) errors.push({ index, error: failure("JOB_NOT_FOUND", { job: name }) });
    }
    throwIfAny(list, errors);
  }
  return names.flatMap((name) => byName.get(name) ?? []);
}
