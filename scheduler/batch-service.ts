import type { SchedulerService } from "../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { ServiceImplementation } from "../mesh/grpc-service.ts";
import { applyJobs } from "./batch/apply.ts";
import { batchDeleteJobs, batchUpdateJobs } from "./batch/change.ts";
import { batchCreateJobs } from "./batch/create.ts";
import { type BatchChanged, batchPauseJobs, batchResumeJobs } from "./batch/pause.ts";
import type { WrittenJob } from "./changes/create-job.ts";
import type { JobRow } from "./job/job.ts";
import type { Parts } from "./parts.ts";
import { presentJobs } from "./reading/read-jobs.ts";
import { required } from "./requests/required.ts";

type BatchHandlers = Pick<
  ServiceImplementation<typeof SchedulerService>,
  | "batchCreateJobs"
  | "batchUpdateJobs"
  | "batchDeleteJobs"
  | "batchPauseJobs"
  | "batchResumeJobs"
  | "applyJobs"
>;

/** Makes the gRPC handlers for batches. Each translates the request, calls one operation and translates its result. */
export function createBatchHandlers(parts: Parts): BatchHandlers {
  const present = (rows: readonly JobRow[]) =>
    presentJobs(
      parts,
      rows.map((row) => ({ row })),
    );
  const presentWritten = async (jobs: readonly WrittenJob[]) => ({ jobs: await presentJobs(parts, jobs) });
  const presentChanged = async ({ rows, undoToken, more }: BatchChanged) => ({
    jobs: await present(rows),
    undoToken,
    more,
  });
  return {
    batchCreateJobs: async ({ projectId, request, actor }) => ({
      response: await presentWritten(await batchCreateJobs(parts, projectId, required(request), actor)),
    }),
    batchUpdateJobs: async ({ projectId, request, actor }) => ({
      response: await presentWritten(await batchUpdateJobs(parts, projectId, required(request), actor)),
    }),
    batchDeleteJobs: async ({ projectId, request }) => ({
      response: { jobs: await present(await batchDeleteJobs(parts, projectId, required(request))) },
    }),
    batchPauseJobs: async ({ projectId, request }) => ({
      response: await presentChanged(await batchPauseJobs(parts, projectId, required(request))),
    }),
    batchResumeJobs: async ({ projectId, request }) => ({
      response: await presentChanged(await batchResumeJobs(parts, projectId, required(request))),
    }),
    applyJobs: async ({ projectId, request, actor }) => {
      const { created, updated, deleted, unchangedCount } = await applyJobs(
        parts,
        projectId,
        required(request),
        actor,
      );
      const response = {
        created: [...created],
        updated: [...updated],
        deleted: [...deleted],
        unchangedCount,
      };
      return { response };
    },
  };
}
