import { type Caller, type Options, required } from "../caller.ts";
import {
  type CreateJobRequestSchema,
  type DeleteJobRequestSchema,
  type GetJobRequestSchema,
  JobService,
  type ListJobsRequestSchema,
  type PauseJobRequestSchema,
  type ResumeJobRequestSchema,
  type RunJobRequestSchema,
  type UpdateJobRequestSchema,
} from "../gen/easycron/v1/job_service_pb.ts";
import type { BackfillJobRequestSchema } from "../gen/easycron/v1/operation_pb.ts";
import { createList } from "../list.ts";
import type { ChangedJob, Job, NamedJobInput, Trigger, Warning } from "../resources.ts";
import { toRunning } from "./running-operation.ts";

const { method } = JobService;

/** Makes the methods of single jobs. */
export function createJobs(caller: Caller) {
  return {
    /**
     * Creates a job: `jobs.create({ name, schedule: cron("0 9 * * 1-5"), target: webhook(url), payload })`.
     *
     * @example
     * ```ts
     * await easycron.jobs.create({
     *   name: "payroll",
     *   schedule: cron("0 9 * * 1-5", "Europe/Paris"),
     *   target: webhook("https://example.com/hooks/payroll"),
     *   payload: { company: 42 },
     * });
     * ```
     */
    create: async (
      job: NamedJobInput,
      options: Options<typeof CreateJobRequestSchema, "job"> = {},
    ): Promise<ChangedJob> => toChanged(await caller.call(method.createJob, { ...options, job })),

    /**
     * Returns one job. Throws a NotFoundError if there is none with this name.
     *
     * @example
     * ```ts
     * const { state, nextFireTime } = await easycron.jobs.get("payroll");
     * console.log(state, nextFireTime?.toISOString());
     * ```
     */
    get: async (name: string, options: Options<typeof GetJobRequestSchema, "name"> = {}): Promise<Job> => {
      const { job } = await caller.call(method.getJob, { ...options, name });
      return required(job, "job");
    },

    /**
     * Lists jobs: `for await (const job of jobs.list({ filter: "state = PAUSED" }))`.
     *
     * @example
     * ```ts
     * for await (const job of easycron.jobs.list({ filter: "state = PAUSED" })) console.log(job.name);
     * ```
     */
    list: (options: Options<typeof ListJobsRequestSchema> = {}) =>
      createList(caller, method.listJobs, options, (page): readonly Job[] => page.jobs),

    /**
     * Changes a job: `jobs.update({ name: "payroll", payload })`. Fields that are not given stay as they are; those
     * that `updateMask` names and `job` does not set return to their default.
     *
     * @example
     * ```ts
     * await easycron.jobs.update({ name: "payroll", payload: { company: 43 } });
     * // Without fields, but with their names: back to the default.
     * await easycron.jobs.update({ name: "payroll" }, { updateMask: ["endTime"] });
     * ```
     */
    update: async (
      job: NamedJobInput,
      options: Options<typeof UpdateJobRequestSchema, "job"> = {},
    ): Promise<ChangedJob> => toChanged(await caller.call(method.updateJob, { ...options, job })),

    /**
     * Deletes a job.
     *
     * @example
     * ```ts
     * await easycron.jobs.delete("payroll");
     * ```
     */
    delete: async (
      name: string,
      options: Options<typeof DeleteJobRequestSchema, "name"> = {},
    ): Promise<Job> => {
      const { job } = await caller.call(method.deleteJob, { ...options, name });
      return required(job, "job");
    },

    /**
     * Pauses a job, until an instant if `until` is given.
     *
     * @example
     * ```ts
     * await easycron.jobs.pause("payroll", { note: "closed for the summer", until: new Date("2030-09-01") });
     * ```
     */
    pause: async (
      name: string,
      options: Options<typeof PauseJobRequestSchema, "name"> = {},
    ): Promise<Job> => {
      const { job } = await caller.call(method.pauseJob, { ...options, name });
      return required(job, "job");
    },

    /**
     * Resumes a paused job.
     *
     * @example
     * ```ts
     * await easycron.jobs.resume("payroll");
     * ```
     */
    resume: async (
      name: string,
      options: Options<typeof ResumeJobRequestSchema, "name"> = {},
    ): Promise<Job> => {
      const { job } = await caller.call(method.resumeJob, { ...options, name });
      return required(job, "job");
    },

    /**
     * Runs a job now, with a payload of its own if one is given. Returns the trigger.
     *
     * @example
     * ```ts
     * const trigger = await easycron.jobs.run("payroll", { payload: { company: 7 } });
     * console.log(trigger.id, trigger.state);
     * ```
     */
    run: async (
      name: string,
      options: Options<typeof RunJobRequestSchema, "name"> = {},
    ): Promise<Trigger> => {
      const { trigger } = await caller.call(method.runJob, { ...options, name });
      return required(trigger, "trigger");
    },

    /**
     * Delivers past fire times: `const done = await (await jobs.backfill(name, { startTime, endTime })).wait()`.
     *
     * @example
     * ```ts
     * const startTime = new Date("2026-03-01T00:00:00Z");
     * const operation = await easycron.jobs.backfill("payroll", { startTime, endTime: "2026-03-02T00:00:00Z" });
     * const { metadata } = await operation.wait();
     * console.log(metadata?.doneCount);
     * ```
     */
    backfill: async (name: string, options: Options<typeof BackfillJobRequestSchema, "name">) => {
      const { operation } = await caller.call(method.backfillJob, { ...options, name });
      return toRunning(caller, required(operation, "operation"));
    },
  };
}

/** Makes the result of a change from its answer. Throws an EasyCronError if the answer has no job. */
export function toChanged({ job, warnings }: { job?: Job | undefined; warnings: Warning[] }): ChangedJob {
  return { ...required(job, "job"), warnings };
}
