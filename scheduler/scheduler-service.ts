import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { createAuditSlots } from "./audit/slots.ts";
import { auditLedger } from "./audit-service.ts";
import { createBatchHandlers } from "./batch-service.ts";
import { createCalendarHandlers } from "./calendars-service.ts";
import { createJob, type WrittenJob } from "./changes/create-job.ts";
import { discardTriggers } from "./changes/discard-triggers.ts";
import { deleteJob, pauseJob, resumeJob } from "./changes/pause-job.ts";
import { runJob } from "./changes/run-job.ts";
import { skipFireTime } from "./changes/skip-fire-time.ts";
import { updateJob } from "./changes/update-job.ts";
import { explainFireTime } from "./explain/explain-fire-time.ts";
import { listFireTimes } from "./ledger/list-fire-times.ts";
import { createOperationHandlers } from "./operations-service.ts";
import type { Parts } from "./parts.ts";
import { readLintContext } from "./preview/lint-context.ts";
import { previewSchedule } from "./preview/preview-schedule.ts";
import { simulateSchedule } from "./preview/simulate-schedule.ts";
import { warningsOf } from "./preview/warnings.ts";
import { listJobs } from "./reading/list-jobs.ts";
import { presentJob, readJob, resolveJob } from "./reading/read-jobs.ts";
import { required } from "./requests/required.ts";
import { createRevisionHandlers } from "./revisions-service.ts";
import { createZoneDataHandlers } from "./zone-data-service.ts";

/** The scheduler's handlers: translate, call, translate. */
export function createSchedulerService(parts: Parts): ServiceImplementation<typeof SchedulerService> {
  const present = async ({ row, schedule }: WrittenJob) => {
    const job = await presentJob(parts, row, schedule);
    const context = await readLintContext(parts, row.project_id, schedule);
    const limit = job.remainingFires === undefined ? {} : { firesLeft: job.remainingFires };
    return { job, warnings: warningsOf(schedule, job, parts.clock.now(), { ...context, ...limit }) };
  };
  const auditSlots = createAuditSlots();
  return {
    createJob: async ({ projectId, request, actor }) => {
      return { response: await present(await createJob(parts, projectId, required(request), actor)) };
    },
    getJob: async ({ projectId, request }) => {
      const row = await readJob(parts, projectId, required(request));
      return { response: { job: await presentJob(parts, row) } };
    },
    listJobs: async ({ projectId, request }) => ({
      response: await listJobs(parts, projectId, required(request)),
    }),
    updateJob: async ({ projectId, request, actor }) => {
      return { response: await present(await updateJob(parts, projectId, required(request), actor)) };
    },
    deleteJob: async ({ projectId, request }) => {
      const { name, etag } = required(request);
      return {
        response: { job: await presentJob(parts, await deleteJob(parts, { projectId, name, etag })) },
      };
    },
    pauseJob: async ({ projectId, request }) => {
      const { name, note, until } = required(request);
      const pause = { note, untilMs: until === undefined ? null : timestampMs(until) };
      return {
        response: { job: await presentJob(parts, await pauseJob(parts, { projectId, name }, pause)) },
      };
    },
    resumeJob: async ({ projectId, request }) => {
      const { name } = required(request);
      return { response: { job: await presentJob(parts, await resumeJob(parts, { projectId, name })) } };
    },
    runJob: async ({ projectId, request }) => ({
      response: { trigger: await runJob(parts, projectId, required(request)) },
    }),
    previewSchedule: async ({ projectId, request }, { signal }) => ({
      response: await previewSchedule(parts, projectId, required(request), signal),
    }),
    simulateSchedule: async ({ projectId, request }, { signal }) => ({
      response: await simulateSchedule(parts, projectId, required(request), signal),
    }),
    discardTriggers: async ({ projectId, request }) => ({
      response: await discardTriggers(parts, projectId, required(request)),
    }),
    listFireTimes: async ({ projectId, request }) => ({
      response: await listFireTimes(parts, projectId, required(request)),
    }),
    explainFireTime: async ({ projectId, request }) => ({
      response: await explainFireTime(parts, projectId, required(request)),
    }),
    skipFireTime: async ({ projectId, request }) => ({
      response: await skipFireTime(parts, projectId, required(request)),
    }),
    auditLedger: async ({ projectId, request }, { signal }) => ({
      response: await auditLedger(parts, auditSlots, projectId, required(request), signal),
    }),
    resolveJob: async ({ projectId, name }) => ({ jobUids: await resolveJob(parts, projectId, name) }),
    ...createBatchHandlers(parts),
    ...createZoneDataHandlers(parts),
    ...createCalendarHandlers(parts),
    ...createRevisionHandlers(parts, present),
    ...createOperationHandlers(parts),
  };
}
