import type { Caller, Options } from "../caller.ts";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import type {
  GetRevisionRequestSchema,
  ListRevisionsRequestSchema,
  RevertJobRequestSchema,
} from "../gen/easycron/v1/revision_pb.ts";
import { createList } from "../list.ts";
import type { ChangedJob, Revision } from "../resources.ts";
import { toChanged } from "./jobs.ts";

const { method } = JobService;

/** Makes the methods of jobs' revisions. */
export function createJobRevisions(caller: Caller) {
  return {
    /** Lists the revisions of a job. */
    listRevisions: (name: string, options: Options<typeof ListRevisionsRequestSchema, "name"> = {}) =>
      createList(
        caller,
        method.listRevisions,
        { ...options, name },
        (page): readonly Revision[] => page.revisions,
      ),

    /** Returns `{ revision, nextPageToken }`: one revision, with a page of the fire times that it added and removed. */
    getRevision: (
      name: string,
      number: number,
      options: Options<typeof GetRevisionRequestSchema, "name" | "number"> = {},
    ) => caller.call(method.getRevision, { ...options, name, number }),

    /** Returns a job to an earlier revision, as a new revision. */
    revert: async (
      name: string,
      number: number,
      options: Options<typeof RevertJobRequestSchema, "name" | "number"> = {},
    ): Promise<ChangedJob> => toChanged(await caller.call(method.revertJob, { ...options, name, number })),
  };
}
