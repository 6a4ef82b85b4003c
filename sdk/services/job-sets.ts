import type { Caller, Options } from "../caller.ts";
import type {
  ApplyJobsRequestSchema,
  BatchCreateJobsRequestSchema,
  BatchDeleteJobsRequestSchema,
  BatchPauseJobsRequestSchema,
  BatchResumeJobsRequestSchema,
  BatchUpdateJobsRequestSchema,
} from "../gen/easycron/v1/job_batch_pb.ts";
import { JobService } from "../gen/easycron/v1/job_service_pb.ts";
import type { Job, NamedJobInput } from "../resources.ts";

const { method } = JobService;

/** Options of `jobs.apply`. */
export interface ApplyOptions
  extends Options<typeof ApplyJobsRequestSchema, "jobs" | "validateOnly" | "labels"> {
  /** The labels that mark the jobs of this set. A job that has them and is not in the list is deleted. */
  readonly labels: { readonly [name: string]: string };
  /** Returns what would be done, and does nothing. */
  readonly dryRun?: boolean | undefined;
}

/** Makes the methods that change many jobs at once. */
export function createJobSets(caller: Caller) {
  return {
    /**
     * Makes the jobs that have `labels` equal to this list: `jobs.apply([…], { labels: { set: "billing" }, dryRun })`.
     * Creates, changes and deletes. Returns the names of the created, updated and deleted jobs.
     *
     * @example
     * ```ts
     * const jobs = [{ name: "report", schedule: every("90s"), target: webhook("https://example.com/report") }];
     * const { created, deleted } = await easycron.jobs.apply(jobs, { labels: { set: "reports" }, dryRun: true });
     * console.log(created, deleted);
     * ```
     */
    apply: (jobs: readonly NamedJobInput[], options: ApplyOptions) => {
      // In plain JavaScript there may be no options; the server then asks for the labels.
      const { dryRun, ...rest } = { ...options };
      return caller.call(method.applyJobs, { ...rest, jobs, validateOnly: dryRun });
    },

    /**
     * Creates up to 1,000 jobs, or none.
     *
     * @example
     * ```ts
     * const target = webhook("https://example.com/hooks");
     * await easycron.jobs.batchCreate([
     *   { name: "first", schedule: every("60s"), target },
     *   { name: "second", schedule: every("3600s"), target },
     * ], { requestId: "import-1" });
     * ```
     */
    batchCreate: async (
      jobs: readonly NamedJobInput[],
      options: Options<typeof BatchCreateJobsRequestSchema, "requests"> = {},
    ): Promise<Job[]> => {
      const requests = toItems(jobs);
      return (await caller.call(method.batchCreateJobs, { ...options, requests })).jobs;
    },

    /**
     * Changes up to 1,000 jobs, or none. Each item has a job and, if wanted, its update mask.
     *
     * @example
     * ```ts
     * await easycron.jobs.batchUpdate([
     *   { job: { name: "first", payload: { company: 42 } } },
     *   { job: { name: "second" }, updateMask: ["payload"] },
     * ]);
     * ```
     */
    batchUpdate: async (
      requests: readonly {
        readonly job: NamedJobInput;
        readonly updateMask?: readonly string[] | undefined;
      }[],
      options: Options<typeof BatchUpdateJobsRequestSchema, "requests"> = {},
    ): Promise<Job[]> => (await caller.call(method.batchUpdateJobs, { ...options, requests })).jobs,

    /**
     * Deletes up to 1,000 jobs, or none.
     *
     * @example
     * ```ts
     * const deleted = await easycron.jobs.batchDelete(["first", "second"]);
     * console.log(deleted.map(({ name }) => name));
     * ```
     */
    batchDelete: async (
      names: readonly string[],
      options: Options<typeof BatchDeleteJobsRequestSchema, "names"> = {},
    ): Promise<Job[]> => (await caller.call(method.batchDeleteJobs, { ...options, names })).jobs,

    /**
     * Pauses the jobs with these names, these labels, or that match this filter. `undoToken` takes it back.
     *
     * @example
     * ```ts
     * const { undoToken } = await easycron.jobs.batchPause({ labels: { team: "billing" } });
     * await easycron.jobs.batchResume({ undoToken });
     * ```
     */
    batchPause: (request: Options<typeof BatchPauseJobsRequestSchema>) =>
      caller.call(method.batchPauseJobs, request),

    /**
     * Resumes the jobs with these names, these labels, or that match this filter. `undoToken` takes it back.
     *
     * @example
     * ```ts
     * await easycron.jobs.batchResume({ filter: "labels.team = billing" });
     * ```
     */
    batchResume: (request: Options<typeof BatchResumeJobsRequestSchema>) =>
      caller.call(method.batchResumeJobs, request),
  };
}

function toItems(jobs: readonly NamedJobInput[]): readonly { readonly job: NamedJobInput }[] {
  // What is no array is left as it is, so that it is refused by name.
  return Array.isArray(jobs) ? jobs.map((job: NamedJobInput) => ({ job })) : (jobs as never);
}
