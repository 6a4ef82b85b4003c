import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ScheduleService } from "../../gen/easycron/v1/schedule_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { projectOf } from "../access/caller.ts";
import { answered } from "./answered.ts";
import { toCallOptions } from "./call-options.ts";

/** The handlers of ScheduleService. */
export function createScheduleService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof ScheduleService> {
  return {
    previewSchedule: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.previewSchedule({ projectId, request }, toCallOptions(context)));
    },
    simulateSchedule: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.simulateSchedule({ projectId, request }, toCallOptions(context)));
    },
    listZoneDataImpacts: async (request, context) => {
      const { projectId } = projectOf(context);
      return answered(await scheduler.listZoneDataImpacts({ projectId, request }, toCallOptions(context)));
    },
  };
}
