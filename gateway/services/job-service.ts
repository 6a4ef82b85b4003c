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
import { eachOrThrow } from "../../mesh/batch-error.ts";
import type { AllowList } from "../../mesh/egress-address.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import type { ProjectCaller } from "../access/caller.ts";
import { forward } from "./forward.ts";
import { checkChangedJob, checkNewJob, checkPayload } from "./job-rules.ts";

/** What the job service needs. */
export interface JobServiceParts {
  readonly scheduler: GrpcClient<typeof SchedulerService>;
  /** Ranges that webhooks may call although they are not public. */
  readonly allow: AllowList;
}

/**
 * Returns the handlers of JobService: each checks what can be checked without the stored job, then asks the
 * scheduler.
 */
export function createJobService({ scheduler, allow }: JobServiceParts): ServiceImpl<typeof JobService> {
  const check = createJobChecks(allow);
  return {
    createJob: forward(scheduler.createJob, check.createJob),
    getJob: forward(scheduler.getJob),
    listJobs: forward(scheduler.listJobs),
    updateJob: forward(scheduler.updateJob, check.updateJob),
    deleteJob: forward(scheduler.deleteJob),
    pauseJob: forward(scheduler.pauseJob),
    resumeJob: forward(scheduler.resumeJob),
    runJob: forward(scheduler.runJob, check.runJob),
    batchCreateJobs: forward(scheduler.batchCreateJobs, check.batchCreateJobs),
    batchUpdateJobs: forward(scheduler.batchUpdateJobs, check.batchUpdateJobs),
    batchDeleteJobs: forward(scheduler.batchDeleteJobs),
    batchPauseJobs: forward(scheduler.batchPauseJobs),
    batchResumeJobs: forward(scheduler.batchResumeJobs),
    applyJobs: forward(scheduler.applyJobs, check.applyJobs),
    revertJob: forward(scheduler.revertJob),
    backfillJob: forward(scheduler.backfillJob),
    listRevisions: forward(scheduler.listRevisions),
    getRevision: forward(scheduler.getRevision),
  };
}

/**
 * Returns what each method that writes a job checks before the call inward. Each check throws what it finds wrong.
 */
function createJobChecks(allow: AllowList) {
  return {
    createJob: ({ job }: CreateJobRequest, { plugins }: ProjectCaller) =>
      checkNewJob(job, { allow, plugins }),
    updateJob: ({ job, allowMissing, updateMask }: UpdateJobRequest, { plugins }: ProjectCaller) => {
      // With allow_missing the call may create the job, and a new job takes every field, whatever the mask names.
      const paths = allowMissing ? [] : (updateMask?.paths ?? []);
      checkChangedJob(job, paths, { allow, plugins });
    },
    runJob: ({ payload }: RunJobRequest) => checkPayload(payload, "payload"),
    batchCreateJobs: ({ requests }: BatchCreateJobsRequest, { plugins }: ProjectCaller) => {
      eachOrThrow("requests", requests, ({ job }) => checkNewJob(job, { allow, plugins }));
    },
    batchUpdateJobs: ({ requests }: BatchUpdateJobsRequest, { plugins }: ProjectCaller) => {
      eachOrThrow("requests", requests, ({ job, updateMask }) =>
        checkChangedJob(job, updateMask?.paths ?? [], { allow, plugins }),
      );
    },
    applyJobs: ({ jobs }: ApplyJobsRequest, { plugins }: ProjectCaller) => {
      eachOrThrow("jobs", jobs, (job) => checkNewJob(job, { allow, plugins }));
    },
  };
}
