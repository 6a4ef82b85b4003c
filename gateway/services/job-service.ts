import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { JobService } from "../../gen/easycron/v1/job_service_pb.ts";
import { eachOrThrow } from "../../mesh/batch-error.ts";
import type { AllowList } from "../../mesh/egress-address.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { answered } from "./answered.ts";
import { toCallOptions } from "./call-options.ts";
import { checkChangedJob, checkNewJob, checkPayload } from "./job-rules.ts";

/** What the job service stands on. */
export interface JobServiceParts {
  readonly scheduler: GrpcClient<typeof SchedulerService>;
  /** Ranges that webhooks may call although they are not public. */
  readonly allow: AllowList;
}

/** The handlers of JobService: judge what can be judged without the job, then ask the scheduler. */
export function createJobService({ scheduler, allow }: JobServiceParts): ServiceImpl<typeof JobService> {
  return {
    createJob: async (request, context) => {
      const { projectId, keyId: actor, plugins } = projectOf(context);
      checkNewJob(request.job, { allow, plugins });
      return answered(await scheduler.createJob({ projectId, request, actor }, toCallOptions(context)));
    },
    getJob: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.getJob({ projectId, request }, toCallOptions(context)));
    },
    listJobs: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.listJobs({ projectId, request }, toCallOptions(context)));
    },
    updateJob: async (request, context) => {
      const { projectId, keyId: actor, plugins } = projectOf(context);
      // What may create is judged whole: a new job takes every field, whatever the mask names.
      const paths = request.allowMissing ? [] : (request.updateMask?.paths ?? []);
      checkChangedJob(request.job, paths, { allow, plugins });
      return answered(await scheduler.updateJob({ projectId, request, actor }, toCallOptions(context)));
    },
    deleteJob: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.deleteJob({ projectId, request }, toCallOptions(context)));
    },
    pauseJob: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.pauseJob({ projectId, request }, toCallOptions(context)));
    },
    resumeJob: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.resumeJob({ projectId, request }, toCallOptions(context)));
    },
    runJob: async (request, context) => {
      const { projectId } = projectOf(context);
      checkPayload(request.payload, "payload");
      return answered(await scheduler.runJob({ projectId, request }, toCallOptions(context)));
    },
    batchCreateJobs: async (request, context) => {
      const { projectId, keyId: actor, plugins } = projectOf(context);
      eachOrThrow("requests", request.requests, ({ job }) => checkNewJob(job, { allow, plugins }));
      return answered(await scheduler.batchCreateJobs({ projectId, request, actor }, toCallOptions(context)));
    },
    batchUpdateJobs: async (request, context) => {
      const { projectId, keyId: actor, plugins } = projectOf(context);
      eachOrThrow("requests", request.requests, ({ job, updateMask }) =>
        checkChangedJob(job, updateMask?.paths ?? [], { allow, plugins }),
      );
      return answered(await scheduler.batchUpdateJobs({ projectId, request, actor }, toCallOptions(context)));
    },
    batchDeleteJobs: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.batchDeleteJobs({ projectId, request }, toCallOptions(context)));
    },
    batchPauseJobs: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.batchPauseJobs({ projectId, request }, toCallOptions(context)));
    },
    batchResumeJobs: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.batchResumeJobs({ projectId, request }, toCallOptions(context)));
    },
    applyJobs: async (request, context) => {
      const { projectId, keyId: actor, plugins } = projectOf(context);
      eachOrThrow("jobs", request.jobs, (job) => checkNewJob(job, { allow, plugins }));
      return answered(await scheduler.applyJobs({ projectId, request, actor }, toCallOptions(context)));
    },
    revertJob: async (request, context) => {
      const { projectId, keyId: actor } = projectOf(context);
      return answered(await scheduler.revertJob({ projectId, request, actor }, toCallOptions(context)));
    },
    backfillJob: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.backfillJob({ projectId, request }, toCallOptions(context)));
    },
    listRevisions: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.listRevisions({ projectId, request }, toCallOptions(context)));
    },
    getRevision: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.getRevision({ projectId, request }, toCallOptions(context)));
    },
  };
}
