import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import type { Parts } from "./parts.ts";
import { required } from "./requests/required.ts";
import { listZoneDataImpacts } from "./settling/zone-data-impacts.ts";

type ZoneDataHandlers = Pick<
  ServiceImplementation<typeof SchedulerService>,
  "listZoneDataImpacts" | "getZoneData"
>;

/** Makes the gRPC handlers for zone data. Each translates the request, calls one operation and translates its result. */
export function createZoneDataHandlers(
  parts: Pick<Parts, "database" | "schedules" | "zoneData" | "clock">,
): ZoneDataHandlers {
  return {
    listZoneDataImpacts: async ({ projectId, request }, { signal }) => ({
      response: await listZoneDataImpacts(parts, projectId, required(request), { signal }),
    }),
    getZoneData: async () => {
      const nowMs = parts.clock.now();
      const coming = parts.zoneData.coming(nowMs);
      return {
        version: parts.zoneData.inForce(nowMs).version,
        ...(coming && { nextVersion: coming.version, nextTime: timestampFromMs(coming.effectiveMs) }),
      };
    },
  };
}
