import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { OperationService } from "../../gen/easycron/v1/operation_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { answered } from "./answered.ts";
import { toCallOptions } from "./call-options.ts";

/** The handlers of OperationService. */
export function createOperationService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof OperationService> {
  return {
    getOperation: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.getOperation({ projectId, request }, toCallOptions(context)));
    },
    listOperations: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.listOperations({ projectId, request }, toCallOptions(context)));
    },
    cancelOperation: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.cancelOperation({ projectId, request }, toCallOptions(context)));
    },
  };
}
