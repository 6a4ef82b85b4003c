import type { Shares } from "../db/shares.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { readRetention, setRetention } from "./retention/project-retention.ts";
import type { RetentionRow } from "./retention/retention.sql.ts";

/** Makes the gRPC handlers of retention. The connections are those for calls of customers. */
export function createRetentionHandlers(
  apiDatabase: Shares,
): Pick<ServiceImplementation<typeof DispatcherService>, "getRetention" | "updateRetention"> {
  return {
    getRetention: async ({ projectId }, { signal }) => ({
      retention: toMessage(await readRetention(apiDatabase.of(projectId, signal), projectId)),
    }),
    updateRetention: async ({ projectId, days }, { signal }) => ({
      retention: toMessage(await setRetention(apiDatabase.of(projectId, signal), projectId, days)),
    }),
  };
}

function toMessage({ days, floor_time: floorMs }: RetentionRow) {
  return floorMs === null ? { days } : { days, floorTimeMs: BigInt(floorMs) };
}
