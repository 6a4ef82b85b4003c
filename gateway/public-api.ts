import type { DescService, Message } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { ApiKeyService } from "../gen/easycron/v1/api_key_service_pb.ts";
import { CalendarService } from "../gen/easycron/v1/calendar_service_pb.ts";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import { LedgerService } from "../gen/easycron/v1/ledger_service_pb.ts";
import { OperationService } from "../gen/easycron/v1/operation_service_pb.ts";
import { PluginService } from "../gen/easycron/v1/plugin_service_pb.ts";
import { ProjectService } from "../gen/easycron/v1/project_service_pb.ts";
import { ScheduleService } from "../gen/easycron/v1/schedule_service_pb.ts";
import { SigningKeyService } from "../gen/easycron/v1/signing_key_service_pb.ts";
import { SystemService } from "../gen/easycron/v1/system_service_pb.ts";
import { TriggerService } from "../gen/easycron/v1/trigger_service_pb.ts";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { type EasyCronError, failure } from "../mesh/errors.ts";
import type { HealthState } from "../mesh/grpc-health.ts";
import { toLoggedError } from "../mesh/logged-error.ts";
import type { Logger } from "../mesh/logger.ts";
import type { Telemetry } from "../mesh/telemetry.ts";
import { type AuthenticateParts, authenticate } from "./access/authenticate.ts";
import { callerKey, identifiedMsKey, type ProjectCaller, projectOf } from "./access/caller.ts";
import { createKeyUses } from "./access/key-uses.ts";
import { detailTypes, toConnectError } from "./edge/connect-error.ts";
import type { NodeListener } from "./edge/drain-unread.ts";
import { nameErrorsOf } from "./edge/name-error.ts";
import { rawJsonEncoder } from "./edge/raw-json.ts";
import { checkingDecoder } from "./edge/request-text.ts";
import { createRpcListener } from "./edge/rpc-listener.ts";
import { createAccessInterceptor } from "./interceptors/access.ts";
import { decodedInterceptor } from "./interceptors/decoded.ts";
import { createErrorsInterceptor } from "./interceptors/errors.ts";
import { createMeasureInterceptor } from "./interceptors/measure.ts";
import { payloadInterceptor } from "./interceptors/payloads.ts";
import { traceInterceptor } from "./interceptors/trace.ts";
import { createValidateInterceptor, type OwnRules } from "./interceptors/validate.ts";
import { readJobPlugins } from "./plugins/job-plugins.ts";
import { type ApiKeyServiceParts, createApiKeyService } from "./services/api-key-service.ts";
import { createCalendarService } from "./services/calendar-service.ts";
import { createHealthService } from "./services/health-service.ts";
import { createInnerRules } from "./services/inner-rules.ts";
import { createJobRules, createJobService, type JobServiceParts } from "./services/job-service.ts";
import { createLedgerService } from "./services/ledger-service.ts";
import { createOperationService } from "./services/operation-service.ts";
import { createPluginService, type PluginServiceParts } from "./services/plugin-service.ts";
import {
  createProjectRules,
  createProjectService,
  type ProjectServiceParts,
} from "./services/project-service.ts";
import { createReflectionService } from "./services/reflection-service.ts";
import { createScheduleService } from "./services/schedule-service.ts";
import { createSigningKeyService } from "./services/signing-key-service.ts";
import { createSystemService, MAX_REQUEST_BYTES } from "./services/system-service.ts";
import { createTriggerService, type TriggerServiceParts } from "./services/trigger-service.ts";

/** What the public API needs. */
export interface PublicApiParts
  extends Omit<AuthenticateParts, "uses">,
    ProjectServiceParts,
    ApiKeyServiceParts,
    JobServiceParts,
    PluginServiceParts,
    TriggerServiceParts {
  readonly health: HealthState;
  readonly logger: Logger;
  readonly telemetry: Pick<Telemetry, "meter" | "hasMetrics" | "callTracer" | "isSampled">;
  /** Whether everybody may ask which services there are, and for the files that define them. */
  readonly hasReflection: boolean;
  /** Ends streams that would otherwise never end. */
  readonly shutdownSignal: AbortSignal;
}

const MAX_DEADLINE_MS = 60_000;

const JSON_OPTIONS = {
  ignoreUnknownFields: false,
  // Answers include empty lists and zeros, so that a script need not know which fields are left out.
  alwaysEmitImplicit: true,
  registry: detailTypes,
  // Connect's serialization uses these options, although the type of its options does not have them.
  textDecoder: checkingDecoder,
  textEncoder: rawJsonEncoder,
};

/** Creates the listener that serves every public method over gRPC, gRPC-Web and Connect. */
export function createPublicApi(parts: PublicApiParts): NodeListener {
  const { health, logger, scheduler, dispatcher } = parts;
  const access = { ...parts, uses: createKeyUses(parts) };
  const implementations = [
    [JobService, createJobService(parts)],
    [ScheduleService, createScheduleService(scheduler)],
    [CalendarService, createCalendarService(scheduler)],
    [LedgerService, createLedgerService(scheduler)],
    [TriggerService, createTriggerService(parts)],
    [SigningKeyService, createSigningKeyService(dispatcher)],
    [PluginService, createPluginService(parts)],
    [ProjectService, createProjectService(parts)],
    [ApiKeyService, createApiKeyService(parts)],
    [OperationService, createOperationService(scheduler)],
    [SystemService, createSystemService(scheduler)],
    [Health, createHealthService(health, parts.shutdownSignal)],
  ] as const;
  const services: DescService[] = implementations.map(([service]) => service);
  if (parts.hasReflection) services.push(ServerReflection);
  for (const { typeName } of services) health.addService(typeName);
  return createRpcListener({
    routes: (router) => {
      for (const [service, implementation] of implementations) router.service(service, implementation);
      if (parts.hasReflection) router.service(ServerReflection, createReflectionService(services));
    },
    requestGate: createRequestGate(access),
    interceptors: [
      createMeasureInterceptor(parts.telemetry),
      createErrorsInterceptor(logger),
      decodedInterceptor,
      traceInterceptor,
      createAccessInterceptor(access),
      createValidateInterceptor(createOwnRules(parts), createInnerRules(scheduler)),
      payloadInterceptor,
    ],
    readMaxBytes: MAX_REQUEST_BYTES,
    maxTimeoutMs: MAX_DEADLINE_MS,
    maxDeadlineMs: MAX_DEADLINE_MS,
    jsonOptions: JSON_OPTIONS,
    logger,
    telemetry: parts.telemetry,
  });
}

/** Creates the checks of the methods that have more rules than their protos. */
function createOwnRules({ allow, deny, database }: PublicApiParts): OwnRules {
  // The method decides the type of its request.
  const ofJobs = createJobRules({ allow, deny }, (projectId) =>
    readJobPlugins(database, projectId),
  ) as unknown as Record<string, (request: Message, caller: ProjectCaller) => Promise<EasyCronError[]>>;
  const ofProjects = createProjectRules({ allow, deny }) as unknown as Record<
    string,
    (request: Message) => EasyCronError[]
  >;
  return async ({ parent, localName }, request, values) => {
    if (parent.typeName === ProjectService.typeName) return ofProjects[localName]?.(request) ?? [];
    const check = parent.typeName === JobService.typeName ? ofJobs[localName] : undefined;
    return check === undefined ? [] : await check(request, projectOf({ values }));
  };
}

/**
 * Creates the check that runs on a call's headers before its body is read: who calls, and whether that is allowed.
 */
function createRequestGate(
  parts: PublicApiParts & AuthenticateParts,
): (context: HandlerContext) => Promise<void> {
  return async (context) => {
    nameErrorsOf(context, { logger: parts.logger, maxBytes: MAX_REQUEST_BYTES });
    try {
      context.values.set(identifiedMsKey, parts.clock.now());
      context.values.set(callerKey, await authenticate(parts, context));
      if (context.signal.aborted) throw failure("DEADLINE_EXCEEDED");
    } catch (error) {
      throw toConnectError(toLoggedError(error, parts.logger, context.method.name));
    }
  };
}
