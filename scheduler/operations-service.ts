import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { backfillJob } from "./backfill/backfill.ts";
import { cancelOperation, getOperation, listOperations } from "./backfill/operations.ts";
import type { Parts } from "./parts.ts";
import { required } from "./requests/required.ts";

type OperationHandlers = Pick<
  ServiceImplementation<typeof SchedulerService>,
  "backfillJob" | "getOperation" | "listOperations" | "cancelOperation"
>;

/** Makes the gRPC handlers for operations. Each translates the request, calls one operation and translates its result. */
export function createOperationHandlers(
  parts: Pick<Parts, "database" | "schedules" | "zoneData" | "clock">,
): OperationHandlers {
  return {
    backfillJob: async ({ projectId, request }) => ({
      response: { operation: await backfillJob(parts, projectId, required(request)) },
    }),
    getOperation: async ({ projectId, request }) => ({
      response: { operation: await getOperation(parts, projectId, required(request).id) },
    }),
    listOperations: async ({ projectId, request }) => ({
      response: await listOperations(parts, projectId, required(request)),
    }),
    cancelOperation: async ({ projectId, request }) => ({
      response: { operation: await cancelOperation(parts, projectId, required(request).id) },
    }),
  };
}
