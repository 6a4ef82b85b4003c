import { timestampMs } from "@bufbuild/protobuf/wkt";
import { limitCost } from "../db/costly-read.ts";
import type { Shares } from "../db/shares.ts";
import { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { CallContext, ServiceImplementation } from "../mesh/grpc-service.ts";
import { type AuditSlots, createAuditSlots } from "./audit/slots.ts";
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
import { type PresentParts, presentJob, presentShown, readJob, resolveJob } from "./reading/read-jobs.ts";
import { replayTrigger } from "./replay/replay-trigger.ts";
import { replayTriggers } from "./replay/replay-triggers.ts";
import { required } from "./requests/required.ts";
import { createRevisionHandlers } from "./revisions-service.ts";
import { createZoneDataHandlers } from "./zone-data-service.ts";

type Handlers = ServiceImplementation<typeof SchedulerService>;

type JobHandlers = Pick<
  Handlers,
  "createJob" | "getJob" | "listJobs" | "updateJob" | "deleteJob" | "pauseJob" | "resumeJob" | "resolveJob"
>;

type TriggerHandlers = Pick<Handlers, "runJob" | "discardTriggers" | "replayTrigger" | "replayTriggers">;

type LedgerHandlers = Pick<Handlers, "listFireTimes" | "explainFireTime" | "skipFireTime" | "auditLedger">;

type PreviewHandlers = Pick<Handlers, "previewSchedule" | "simulateSchedule">;

/**
 * Makes the scheduler's gRPC handlers. Each translates the request, calls one operation and translates its result. When
 * its caller has gone, it stops at its next statement: nobody reads the answer, and others need the connection.
 */
export function createSchedulerService(parts: Omit<Parts, "database">, databases: Shares): Handlers {
  const auditSlots = createAuditSlots();
  const handlers = forEachCall((projectId, signal) =>
    createHandlers({ ...parts, database: databases.of(projectId, signal) }, auditSlots),
  );
  return limitReads(handlers);
}

/** Returns the handlers. Those that may read much say READ_TOO_COSTLY when a statement takes too long. */
function limitReads(handlers: Handlers): Handlers {
  type Unary<I, O> = (request: I, context: CallContext) => Promise<O>;
  const limited =
    <I, O>(handle: Unary<I, O>): Unary<I, O> =>
    (request, context) =>
      limitCost(() => handle(request, context));
  return {
    ...handlers,
    listJobs: limited(handlers.listJobs),
    listFireTimes: limited(handlers.listFireTimes),
    explainFireTime: limited(handlers.explainFireTime),
    listCalendars: limited(handlers.listCalendars),
    listRevisions: limited(handlers.listRevisions),
    getRevision: limited(handlers.getRevision),
    listOperations: limited(handlers.listOperations),
    listZoneDataImpacts: limited(handlers.listZoneDataImpacts),
  };
}

/** Makes handlers each of whose calls is answered by a handler that `make` makes for its project and caller. */
function forEachCall(make: (projectId: string, signal: AbortSignal) => Handlers): Handlers {
  const methods = SchedulerService.methods.map(({ localName }) => {
    const handler = (request: { readonly projectId?: string }, context: CallContext) => {
      const handlers = make(request.projectId ?? "", context.signal) as Record<string, UnaryHandler>;
      return handlers[localName]?.(request as never, context);
    };
    return [localName, handler];
  });
  // Each entry has the name and the type of the handler that it calls. Only GetZoneData has no project.
  return Object.fromEntries(methods) as Handlers;
}

type UnaryHandler = (request: never, context: CallContext) => unknown;

function createHandlers(parts: Parts, auditSlots: AuditSlots): Handlers {
  return {
    ...createJobHandlers(parts),
    ...createTriggerHandlers(parts),
    ...createPreviewHandlers(parts),
    ...createLedgerHandlers(parts, auditSlots),
    ...createBatchHandlers(parts),
    ...createZoneDataHandlers(parts),
    ...createCalendarHandlers(parts),
    ...createRevisionHandlers(parts, (written) => presentWithWarnings(parts, written)),
    ...createOperationHandlers(parts),
  };
}

/** Returns a job that has been written, as customers see it, with the linter's warnings. */
async function presentWithWarnings(
  parts: PresentParts & Pick<Parts, "lookAheadMs" | "stepMs">,
  written: WrittenJob,
) {
  const { row, schedule } = written;
  const job = await presentShown(parts, written);
  const context = await readLintContext(parts, row.project_id, schedule);
  const limit = job.remainingFires === undefined ? {} : { firesLeft: job.remainingFires };
  return { job, warnings: warningsOf(schedule, job, parts.clock.now(), { ...context, ...limit }) };
}

function createJobHandlers(parts: Parts): JobHandlers {
  return {
    createJob: async ({ projectId, request, actor }) => {
      const written = await createJob(parts, projectId, required(request), actor);
      return { response: await presentWithWarnings(parts, written) };
    },
    getJob: async ({ projectId, request }) => {
      const row = await readJob(parts, projectId, required(request));
      return { response: { job: await presentJob(parts, row) } };
    },
    listJobs: async ({ projectId, request }) => ({
      response: await listJobs(parts, projectId, required(request)),
    }),
    updateJob: async ({ projectId, request, actor }) => {
      const written = await updateJob(parts, projectId, required(request), actor);
      return { response: await presentWithWarnings(parts, written) };
    },
    deleteJob: async ({ projectId, request }) => {
      const { name, etag } = required(request);
      const row = await deleteJob(parts, { projectId, name, etag });
      return { response: { job: await presentJob(parts, row) } };
    },
    pauseJob: async ({ projectId, request }) => {
      const { name, note, until } = required(request);
      const pause = { note, untilMs: until === undefined ? null : timestampMs(until) };
      const row = await pauseJob(parts, { projectId, name }, pause);
      return { response: { job: await presentJob(parts, row) } };
    },
    resumeJob: async ({ projectId, request }) => {
      const { name } = required(request);
      const row = await resumeJob(parts, { projectId, name });
      return { response: { job: await presentJob(parts, row) } };
    },
    resolveJob: async ({ projectId, name }) => ({ jobUids: await resolveJob(parts, projectId, name) }),
  };
}

function createTriggerHandlers(parts: Parts): TriggerHandlers {
  return {
    runJob: async ({ projectId, request }) => ({
      response: { trigger: await runJob(parts, projectId, required(request)) },
    }),
    discardTriggers: async ({ projectId, request }) => ({
      response: await discardTriggers(parts, projectId, required(request)),
    }),
    replayTrigger: async ({ projectId, request }) => ({
      response: { trigger: await replayTrigger(parts, projectId, required(request)) },
    }),
    replayTriggers: async ({ projectId, request }) => ({
      response: { operation: await replayTriggers(parts, projectId, required(request)) },
    }),
  };
}

function createPreviewHandlers(
  parts: PresentParts & Pick<Parts, "lookAheadMs" | "stepMs" | "catchupPerSecond">,
): PreviewHandlers {
  return {
    previewSchedule: async ({ projectId, request }, { signal }) => ({
      response: await previewSchedule(parts, projectId, required(request), signal),
    }),
    simulateSchedule: async ({ projectId, request }, { signal }) => ({
      response: await simulateSchedule(parts, projectId, required(request), signal),
    }),
  };
}

function createLedgerHandlers(parts: Parts, auditSlots: AuditSlots): LedgerHandlers {
  return {
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
  };
}
