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
    /**
     * Lists the revisions of a job.
     *
     * @example
     * ```ts
     * for await (const { number, createTime } of easycron.jobs.listRevisions("payroll")) {
     *   console.log(number, createTime);
     * }
     * ```
     */
    listRevisions: (name: string, options: Options<typeof ListRevisionsRequestSchema, "name"> = {}) =>
      createList(
        caller,
        method.listRevisions,
        { ...options, name },
        (page): readonly Revision[] => page.revisions,
      ),

    /**
     * Returns `{ revision, nextPageToken }`: one revision, with a page of the fire times that it added and removed.
     *
     * @example
     * ```ts
     * const { revision } = await easycron.jobs.getRevision("payroll", 2);
     * console.log(revision?.job?.schedules);
     * ```
     */
    getRevision: (
      name: string,
      number: number,
      options: Options<typeof GetRevisionRequestSchema, "name" | "number"> = {},
    ) => caller.call(method.getRevision, { ...options, name, number }),

    /**
     * Returns a job to an earlier revision, as a new revision.
     *
     * @example
     * ```ts
     * await easycron.jobs.revert("payroll", 2);
     * ```
     */
    revert: async (
      name: string,
      number: number,
      options: Options<typeof RevertJobRequestSchema, "name" | "number"> = {},
    ): Promise<ChangedJob> => toChanged(await caller.call(method.revertJob, { ...options, name, number })),
  };
}
