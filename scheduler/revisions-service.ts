import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import type { Parts } from "./parts.ts";
import { required } from "./required.ts";
import { getRevision, listRevisions } from "./revisions-read.ts";

type RevisionHandlers = Pick<ServiceImplementation<typeof SchedulerService>, "listRevisions" | "getRevision">;

/** The handlers of revisions: translate, call, translate. */
export function createRevisionHandlers(parts: Parts): RevisionHandlers {
  return {
    listRevisions: async ({ projectId, request }) => ({
      response: await listRevisions(parts, projectId, required(request)),
    }),
    getRevision: async ({ projectId, request }) => ({
      response: { revision: await getRevision(parts, projectId, required(request)) },
    }),
  };
}
