import type { ServiceImpl } from "@connectrpc/connect";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type {
  PreviewScheduleRequest,
  PreviewScheduleResponse,
  ScheduleService,
  SimulateScheduleRequest,
  SimulateScheduleResponse,
} from "../../gen/easycron/v1/schedule_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { forward } from "./forward.ts";
import { withoutSecrets } from "./seal-job-secrets.ts";

/** Returns the handlers of ScheduleService. The scheduler answers them all. */
export function createScheduleService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof ScheduleService> {
  return {
    previewSchedule: withoutSecrets<PreviewScheduleRequest, PreviewScheduleResponse>(
      forward(scheduler.previewSchedule),
      jobOf,
    ),
    simulateSchedule: withoutSecrets<SimulateScheduleRequest, SimulateScheduleResponse>(
      forward(scheduler.simulateSchedule),
      jobOf,
    ),
    listZoneDataImpacts: forward(scheduler.listZoneDataImpacts),
  };
}

function jobOf({ source }: PreviewScheduleRequest | SimulateScheduleRequest): Job | undefined {
  return source.case === "job" ? source.value : undefined;
}
