import type { Shares } from "../db/shares.ts";
import type { DispatcherService } from "../gen/easycron/internal/dispatcher/v1/dispatcher_service_pb.ts";
import type { Clock } from "../mesh/clock.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { getProjectAlerts, setProjectAlerts } from "./alerts/project-alerts.ts";

/** Makes the gRPC handlers of the alerts of projects. The connections are those for calls of customers. */
export function createProjectAlertHandlers({
  apiDatabase,
  clock,
}: {
  readonly apiDatabase: Shares;
  readonly clock: Clock;
}): Pick<ServiceImplementation<typeof DispatcherService>, "getProjectAlerts" | "updateProjectAlerts"> {
  return {
    getProjectAlerts: async ({ projectId }, { signal }) => {
      const alerts = await getProjectAlerts(apiDatabase.of(projectId, signal), projectId);
      return alerts === undefined ? {} : { alerts };
    },
    updateProjectAlerts: async ({ projectId, alerts }, { signal }) => {
      const database = apiDatabase.of(projectId, signal);
      await setProjectAlerts(database, projectId, { alerts, nowMs: clock.now() });
      return {};
    },
  };
}
