import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type {
  ApplyJobsRequest,
  BatchCreateJobsRequest,
  BatchUpdateJobsRequest,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import type {
  CreateJobRequest,
  JobService,
  RunJobRequest,
  UpdateJobRequest,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { batchError } from "../../mesh/batch-error.ts";
import type { AllowList } from "../../mesh/egress-address.ts";
import type { EasyCronError } from "../../mesh/errors.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { ProjectCaller } from "../access/caller.ts";
import { forward } from "./forward.ts";
import { changedJobErrors, newJobErrors } from "./job-rules.ts";
import { payloadErrors } from "./payload-rules.ts";

/** What the job service needs. */
export interface JobServiceParts {
  readonly scheduler: GrpcClient<typeof SchedulerService>;
  /** Ranges that webhooks may call although they are not public. */
  readonly allow: AllowList;
}

/** Returns the handlers of JobService. The scheduler answers them all. */
export function createJobService({
  scheduler,
}: Pick<JobServiceParts, "scheduler">): ServiceImpl<typeof JobService> {
  return {
    createJob: forward(scheduler.createJob),
    getJob: forward(scheduler.getJob),
    listJobs: forward(scheduler.listJobs),
    updateJob: forward(scheduler.updateJob),
    deleteJob: forward(scheduler.deleteJob),
    pauseJob: forward(scheduler.pauseJob),
    resumeJob: forward(scheduler.resumeJob),
    runJob: forward(scheduler.runJob),
    batchCreateJobs: forward(scheduler.batchCreateJobs),
    batchUpdateJobs: forward(scheduler.batchUpdateJobs),
    batchDeleteJobs: forward(scheduler.batchDeleteJobs),
    batchPauseJobs: forward(scheduler.batchPauseJobs),
    batchResumeJobs: forward(scheduler.batchResumeJobs),
    applyJobs: forward(scheduler.applyJobs),
    revertJob: forward(scheduler.revertJob),
    backfillJob: forward(scheduler.backfillJob),
    listRevisions: forward(scheduler.listRevisions),
    getRevision: forward(scheduler.getRevision),
  };
}

/**
 * Returns what each method that writes a job checks besides the rules of its proto. Each returns an error for each
 * thing that it finds wrong.
 */
export function createJobRules(allow: AllowList) {
  return {
    createJob: ({ job }: CreateJobRequest, { plugins }: ProjectCaller) =>
      newJobErrors(job, { allow, plugins }),
    updateJob: ({ job, allowMissing, updateMask }: UpdateJobRequest, { plugins }: ProjectCaller) => {
      // With allow_missing the call may create the job, and a new job takes every field, whatever the mask names.
      const paths = allowMissing ? [] : (updateMask?.paths ?? []);
      return changedJobErrors(job, paths, { allow, plugins });
    },
    runJob: (request: RunJobRequest) => payloadErrors(request, "payload"),
    batchCreateJobs: ({ requests }: BatchCreateJobsRequest, { plugins }: ProjectCaller) =>
      eachError("requests", requests, ({ job }) => newJobErrors(job, { allow, plugins })),
    batchUpdateJobs: ({ requests }: BatchUpdateJobsRequest, { plugins }: ProjectCaller) =>
      eachError("requests", requests, ({ job, updateMask }) =>
        changedJobErrors(job, updateMask?.paths ?? [], { allow, plugins }),
      ),
    applyJobs: ({ jobs }: ApplyJobsRequest, { plugins }: ProjectCaller) =>
      eachError("jobs", jobs, (job) => newJobErrors(job, { allow, plugins })),
  };
}

/** Returns all errors of the items of a list, each with the path of its field in the list. */
function eachError<T>(
  list: string,
  items: readonly T[],
  check: (item: T) => EasyCronError[],
): EasyCronError[] {
  return items.flatMap((item, index) => check(item).map((error) => batchError(list, [{ index, error }])));
}
