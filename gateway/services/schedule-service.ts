import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ScheduleService } from "../../gen/easycron/v1/schedule_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { forward } from "./forward.ts";

/** Returns the handlers of ScheduleService. The scheduler answers them all. */
export function createScheduleService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof ScheduleService> {
  return {
    previewSchedule: forward(scheduler.previewSchedule),
    simulateSchedule: forward(scheduler.simulateSchedule),
    listZoneDataImpacts: forward(scheduler.listZoneDataImpacts),
  };
}
