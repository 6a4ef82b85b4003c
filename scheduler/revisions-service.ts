import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { RevertJobResponseSchema } from "../gen/easycron/v1/revision_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import type { WrittenJob } from "./changes/create-job.ts";
import type { Parts } from "./parts.ts";
import { required } from "./requests/required.ts";
import { getRevision, listRevisions } from "./revisions/read.ts";
import { revertJob } from "./revisions/revert.ts";

type RevisionHandlers = Pick<
  ServiceImplementation<typeof SchedulerService>,
  "listRevisions" | "getRevision" | "revertJob"
>;

/** Makes the response for a job that has been written. */
type Present = (written: WrittenJob) => Promise<MessageInitShape<typeof RevertJobResponseSchema>>;

/** Makes the gRPC handlers for revisions. Each translates the request, calls one operation and translates its result. */
export function createRevisionHandlers(parts: Parts, present: Present): RevisionHandlers {
  return {
    listRevisions: async ({ projectId, request }) => ({
      response: await listRevisions(parts, projectId, required(request)),
    }),
    getRevision: async ({ projectId, request }) => ({
      response: await getRevision(parts, projectId, required(request)),
    }),
    revertJob: async ({ projectId, request, actor }) => ({
      response: await present(await revertJob(parts, projectId, required(request), actor)),
    }),
  };
}
