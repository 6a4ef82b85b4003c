import type { ServiceImpl } from "@connectrpc/connect";
import type { DispatcherService } from "../../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type {
  ApplyJobsRequest,
  BatchCreateJobsRequest,
  BatchUpdateJobsRequest,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type {
  CreateJobRequest,
  JobService,
  RunJobRequest,
  UpdateJobRequest,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { batchError } from "../../mesh/batch-error.ts";
import type { AllowList, DenyList } from "../../mesh/egress-address.ts";
import type { EasyCronError } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { ProjectCaller } from "../access/caller.ts";
import type { JobPlugins } from "../plugins/job-plugins.ts";
import { forward } from "./forward.ts";
import { changedJobErrors, newJobErrors } from "./job-rules.ts";
import { payloadErrors } from "./payload-rules.ts";
import { createSealing } from "./seal-job-secrets.ts";

/** What the job service needs. */
export interface JobServiceParts {
  readonly scheduler: GrpcClient<typeof SchedulerService>;
  readonly dispatcher: GrpcClient<typeof DispatcherService>;
  /** Ranges that webhooks may call although they are not public. */
  readonly allow: AllowList;
  /** What webhooks never call. Default: nothing is denied. */
  readonly deny?: DenyList | undefined;
}

/** Returns the handlers of JobService. The scheduler answers them all. The dispatcher stores the secrets of jobs before. */
export function createJobService({
  scheduler,
  dispatcher,
}: Pick<JobServiceParts, "scheduler" | "dispatcher">): ServiceImpl<typeof JobService> {
  const sealed = createSealing(dispatcher);
  return {
    createJob: sealed(({ job }: CreateJobRequest) => [job], forward(scheduler.createJob)),
    getJob: forward(scheduler.getJob),
    listJobs: forward(scheduler.listJobs),
    updateJob: sealed(({ job }: UpdateJobRequest) => [job], forward(scheduler.updateJob)),
    deleteJob: forward(scheduler.deleteJob),
    pauseJob: forward(scheduler.pauseJob),
    resumeJob: forward(scheduler.resumeJob),
    runJob: forward(scheduler.runJob),
    batchCreateJobs: sealed(
      ({ requests }: BatchCreateJobsRequest) => jobsOf(requests),
      forward(scheduler.batchCreateJobs),
    ),
    batchUpdateJobs: sealed(
      ({ requests }: BatchUpdateJobsRequest) => jobsOf(requests),
      forward(scheduler.batchUpdateJobs),
    ),
    batchDeleteJobs: forward(scheduler.batchDeleteJobs),
    batchPauseJobs: forward(scheduler.batchPauseJobs),
    batchResumeJobs: forward(scheduler.batchResumeJobs),
    applyJobs: sealed(({ jobs }: ApplyJobsRequest) => jobs, forward(scheduler.applyJobs)),
    revertJob: forward(scheduler.revertJob),
    backfillJob: forward(scheduler.backfillJob),
    listRevisions: forward(scheduler.listRevisions),
    getRevision: forward(scheduler.getRevision),
  };
}

/** Reads the plugins of a project. */
export type ReadJobPlugins = (projectId: string) => Promise<JobPlugins>;

/**
 * Returns what each method that writes a job checks besides the rules of its proto. Each returns an error for each
 * thing that it finds wrong. The plugins of the project are read only for a job that has one as target.
 */
export function createJobRules(
  { allow, deny }: Pick<JobServiceParts, "allow" | "deny">,
  readPlugins: ReadJobPlugins,
) {
  const rulesFor = async (jobs: readonly (Job | undefined)[], { projectId }: ProjectCaller) => {
    const isNeeded = jobs.some((job) => ["redis", "kafka"].includes(job?.target?.kind.case ?? ""));
    return { allow, deny, plugins: isNeeded ? await readPlugins(projectId) : {} };
  };
  return {
    createJob: async ({ job }: CreateJobRequest, caller: ProjectCaller) =>
      newJobErrors(job, await rulesFor([job], caller)),
    updateJob: async ({ job, allowMissing, updateMask }: UpdateJobRequest, caller: ProjectCaller) => {
      // With allow_missing the call may create the job, and a new job takes every field, whatever the mask names.
      const paths = allowMissing ? [] : (updateMask?.paths ?? []);
      return changedJobErrors(job, paths, await rulesFor([job], caller));
    },
    runJob: async (request: RunJobRequest) => payloadErrors(request, "payload"),
    batchCreateJobs: async ({ requests }: BatchCreateJobsRequest, caller: ProjectCaller) => {
      const rules = await rulesFor(jobsOf(requests), caller);
      return eachError("requests", requests, ({ job }) => newJobErrors(job, rules));
    },
    batchUpdateJobs: async ({ requests }: BatchUpdateJobsRequest, caller: ProjectCaller) => {
      const rules = await rulesFor(jobsOf(requests), caller);
      return eachError("requests", requests, ({ job, updateMask }) =>
        changedJobErrors(job, updateMask?.paths ?? [], rules),
      );
    },
    applyJobs: async ({ jobs }: ApplyJobsRequest, caller: ProjectCaller) => {
      const rules = await rulesFor(jobs, caller);
      return eachError("jobs", jobs, (job) => newJobErrors(job, rules));
    },
  };
}

function jobsOf(requests: readonly { readonly job?: Job | undefined }[]): (Job | undefined)[] {
  return requests.map(({ job }) => job);
}

/** Returns all errors of the items of a list, each with the path of its field in the list. */
function eachError<T>(
  list: string,
  items: readonly T[],
  check: (item: T) => EasyCronError[],
): EasyCronError[] {
  return items.flatMap((item, index) => check(item).map((error) => batchError(list, [{ index, error }])));
}
