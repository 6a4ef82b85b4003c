import { readFileSync } from "node:fs";
import type { ServiceImpl } from "@connectrpc/connect";
import { MAX_EXCLUDED_DATES } from "../../cron/calendar-spec.ts";
import { MIN_RATE_MS } from "../../cron/rate.ts";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { SystemService } from "../../gen/easycron/v1/system_service_pb.ts";
import type { GrpcClient } from "../../mesh/grpc-client.ts";
import { toCallOptions } from "./call-options.ts";
import { MAX_PAYLOAD_BYTES } from "./payload-rules.ts";

/** The largest request that the gateway reads, in bytes. */
export const MAX_REQUEST_BYTES = 1024 * 1024;

const PACKAGE = new URL("../../package.json", import.meta.url);

/** Returns the handlers of SystemService. The limits that are plain numbers here repeat rules of the protos. */
export function createSystemService(
  scheduler: GrpcClient<typeof SchedulerService>,
): ServiceImpl<typeof SystemService> {
  const { version } = JSON.parse(readFileSync(PACKAGE, "utf8")) as { version: string };
  const limits = {
    maxRequestBytes: MAX_REQUEST_BYTES,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    maxSchedules: 20,
    minRateMs: MIN_RATE_MS,
    maxPreviewCount: 1_000,
    maxPageSize: 500,
    maxLabels: 64,
    maxCalendarDates: MAX_EXCLUDED_DATES,
    maxIcalendarBytes: 262_144,
  };
  return {
    getServerInfo: async (_, context) => {
      const zoneData = await scheduler.getZoneData({}, toCallOptions(context));
      return {
        version,
        zoneDataVersion: zoneData.version,
        nextZoneDataVersion: zoneData.nextVersion,
        ...(zoneData.nextTime && { nextZoneDataTime: zoneData.nextTime }),
        limits,
      };
    },
  };
}
