import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { OperationService } from "../../gen/easycron/v1/operation_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { forward } from "./forward.ts";

/** Returns the handlers of OperationService. The scheduler answers them all. */
export function createOperationService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof OperationService> {
  return {
    getOperation: forward(scheduler.getOperation),
    listOperations: forward(scheduler.listOperations),
    cancelOperation: forward(scheduler.cancelOperation),
  };
}
