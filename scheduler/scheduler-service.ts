import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import { failure } from "../mesh/errors.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { createJob } from "./create-job.ts";
import type { Parts } from "./parts.ts";
import { deleteJob, pauseJob, resumeJob } from "./pause-job.ts";
import { previewSchedule } from "./preview-schedule.ts";
import { listJobs, presentJob, readJob, resolveJob } from "./read-jobs.ts";
import { runJob } from "./run-job.ts";
import { updateJob } from "./update-job.ts";

/** The scheduler's handlers: translate, call, translate. */
export function createSchedulerService(parts: Parts): ServiceImplementation<typeof SchedulerService> {
  return {
    createJob: async ({ projectId, request }) => {
      const row = await createJob(parts, projectId, required(request));
      return { response: { job: presentJob(parts, row), warnings: [] } };
    },
    getJob: async ({ projectId, request }) => {
      const row = await readJob(parts, projectId, required(request));
      return { response: { job: presentJob(parts, row) } };
    },
    listJobs: async ({ projectId, request }) => ({
      response: await listJobs(parts, projectId, required(request)),
    }),
    updateJob: async ({ projectId, request }) => {
      const row = await updateJob(parts, projectId, required(request));
      return { response: { job: presentJob(parts, row), warnings: [] } };
    },
    deleteJob: async ({ projectId, request }) => {
      const { name, etag } = required(request);
      return { response: { job: presentJob(parts, await deleteJob(parts, { projectId, name, etag })) } };
    },
    pauseJob: async ({ projectId, request }) => {
      const { name, note } = required(request);
      return { response: { job: presentJob(parts, await pauseJob(parts, { projectId, name }, note)) } };
    },
    resumeJob: async ({ projectId, request }) => {
      const { name } = required(request);
      return { response: { job: presentJob(parts, await resumeJob(parts, { projectId, name })) } };
    },
    runJob: async ({ projectId, request }) => ({
      response: { trigger: await runJob(parts, projectId, required(request)) },
    }),
    previewSchedule: async ({ projectId, request }) => ({
      response: await previewSchedule(parts, projectId, required(request)),
    }),
    resolveJob: async ({ projectId, name }) => ({ jobUids: await resolveJob(parts, projectId, name) }),
  };
}

function required<T>(request: T | undefined): T {
  if (request === undefined) throw failure("FIELD_INVALID", { field: "request", problem: "It is required." });
  return request;
}
