import { clone, create, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { findCalendarErrors } from "../../cron/calendar-spec.ts";
import { ScheduleError } from "../../cron/errors.ts";
import { canonicalZone } from "../../cron/zone.ts";
import type { SchedulerService } from "../../gen/easycron/internal/scheduler/v1/scheduler_service_pb.ts";
import type { Calendar } from "../../gen/easycron/v1/calendar_pb.ts";
import {
  CalendarService,
  type CreateCalendarRequest,
  type UpdateCalendarRequest,
} from "../../gen/easycron/v1/calendar_service_pb.ts";
import type {
  ApplyJobsRequest,
  BatchCreateJobsRequest,
  BatchUpdateJobsRequest,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import {
  type CreateJobRequest,
  JobService,
  type UpdateJobRequest,
} from "../../gen/easycron/v1/job_service_pb.ts";
import { ScheduleSchema } from "../../gen/easycron/v1/schedule_pb.ts";
import {
  type PreviewScheduleRequest,
  ScheduleService,
  type SimulateScheduleRequest,
} from "../../gen/easycron/v1/schedule_service_pb.ts";
import { TargetSchema } from "../../gen/easycron/v1/target_pb.ts";
import { EasyCronError, type FieldViolation } from "../../mesh/errors.ts";
import type { CallOptions, GrpcClient } from "../../mesh/grpc-client.ts";
import { secretSlots } from "../../mesh/target-secrets.ts";
import { projectOf } from "../access/caller.ts";
import type { InnerRules } from "../interceptors/validate.ts";

/*
 * The scheduler finds what only it can find: expressions, time zones, calendars that do not exist. A request that is
 * refused here does not reach it. So that one error tells everything, the scheduler is asked about the rest of such a
 * request: a copy in which each wrong field has its default or a plain value, with validate_only.
 */

const ASK_MS = 2_000;
/** What is asked in place of a schedule that is wrong. */
const PLAIN_SCHEDULE = create(ScheduleSchema, {
  kind: { case: "cron", value: { expression: "* * * * *" } },
});
/** What is asked in place of a target that is wrong. The scheduler does not look at its address. */
const PLAIN_TARGET = create(TargetSchema, {
  kind: { case: "webhook", value: { url: "https://example.com/" } },
});

/** What is asked in place of each secret. */
const ANY_SECRET_ID = `sec_${"0".repeat(40)}`;

type Ask = (
  scheduler: GrpcClient<typeof SchedulerService>,
  caller: { readonly projectId: string; readonly actor: string },
  options: CallOptions,
) => Promise<unknown>;

/** Creates the rules of the scheduler, for requests that are refused before they reach it. */
export function createInnerRules(scheduler: GrpcClient<typeof SchedulerService>): InnerRules {
  return async ({ method, message, contextValues, signal }, wrong) => {
    if (CALENDAR_WRITES.includes(`${method.parent.typeName}/${method.name}`))
      return calendarViolations((message as CreateCalendarRequest | UpdateCalendarRequest).calendar);
    const ask = askOf(`${method.parent.typeName}/${method.name}`, message, wrong);
    if (ask === undefined) return [];
    const { projectId, keyId } = projectOf({ values: contextValues });
    try {
      await ask(scheduler, { projectId, actor: keyId }, { signal, deadlineMs: ASK_MS });
      return [];
    } catch (error) {
      // Whatever else goes wrong, the customer gets what is known already.
      const violations = error instanceof EasyCronError ? error.violations : [];
      return method.name === JobService.method.applyJobs.name ? violations.map(ofAppliedJob) : violations;
    }
  };
}

const CALENDAR_WRITES = ["CreateCalendar", "UpdateCalendar"].map(
  (name) => `${CalendarService.typeName}/${name}`,
);

/** The scheduler checks a calendar by the same pure functions. There is no call that only checks one. */
function calendarViolations(calendar: Calendar | undefined): FieldViolation[] {
  if (calendar === undefined) return [];
  const { timeZone, windows, excludedDates } = calendar;
  const errors = [...zoneErrors(timeZone), ...findCalendarErrors({ windows, excludedDates })];
  return errors.map(({ field, message }) => ({ field: `calendar.${field}`, description: message }));
}

function zoneErrors(timeZone: string): ScheduleError[] {
  try {
    if (timeZone !== "") canonicalZone(timeZone);
    return [];
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    return [error];
  }
}

/** Returns the question about a request; undefined for a method that the scheduler has no such rules for. */
function askOf(method: string, message: Message, wrong: readonly string[]): Ask | undefined {
  switch (method) {
    case `${JobService.typeName}/CreateJob`:
      return askAboutNew([(message as CreateJobRequest).job], () => "job", wrong);
    case `${JobService.typeName}/UpdateJob`:
      return askAboutUpdate(message as UpdateJobRequest, wrong);
    case `${JobService.typeName}/BatchCreateJobs`: {
      const jobs = (message as BatchCreateJobsRequest).requests.map(({ job }) => job);
      return askAboutNew(jobs, (index) => `requests[${index}].job`, wrong);
    }
    case `${JobService.typeName}/ApplyJobs`:
      return askAboutNew((message as ApplyJobsRequest).jobs, (index) => `jobs[${index}]`, wrong);
    case `${JobService.typeName}/BatchUpdateJobs`:
      return askAboutUpdates(message as BatchUpdateJobsRequest, wrong);
    case `${ScheduleService.typeName}/PreviewSchedule`:
    case `${ScheduleService.typeName}/SimulateSchedule`:
      return askAboutPreview(message as PreviewScheduleRequest | SimulateScheduleRequest, wrong);
    default:
      return undefined;
  }
}

function askAboutNew(
  jobs: readonly (Job | undefined)[],
  pathOf: (index: number) => string,
  wrong: readonly string[],
): Ask | undefined {
  // A list that is itself wrong may be too long to ask about.
  if (jobs.length === 0 || wrong.some((field) => field === "requests" || field === "jobs")) return undefined;
  const mended = jobs.map((job, index) => mend(job, pathOf(index), wrong, `job-${index}`));
  const [first] = mended;
  if (pathOf(0) === "job")
    return (scheduler, caller, options) =>
      scheduler.createJob({ ...caller, request: { job: first, validateOnly: true } }, options);
  const requests = mended.map((job) => ({ job }));
  return (scheduler, caller, options) =>
    scheduler.batchCreateJobs({ ...caller, request: { requests, validateOnly: true } }, options);
}

function askAboutUpdate({ job, updateMask }: UpdateJobRequest, wrong: readonly string[]): Ask | undefined {
  if (job === undefined || wrong.some((field) => /^(?:job\.name|updateMask)(?:$|\.)/.test(field)))
    return undefined;
  const request = { job: mend(job, "job", wrong, job.name), updateMask, validateOnly: true };
  return (scheduler, caller, options) => scheduler.updateJob({ ...caller, request }, options);
}

function askAboutUpdates({ requests }: BatchUpdateJobsRequest, wrong: readonly string[]): Ask | undefined {
  if (
    requests.length === 0 ||
    wrong.some((field) => /^requests(?:$|\[\d+\]\.(?:job\.name|updateMask))/.test(field))
  )
    return undefined;
  const mended = requests.map(({ job, updateMask }, index) => ({
    job: mend(job, `requests[${index}].job`, wrong, job?.name ?? ""),
    updateMask,
  }));
  return (scheduler, caller, options) =>
    scheduler.batchUpdateJobs({ ...caller, request: { requests: mended, validateOnly: true } }, options);
}

function askAboutPreview(
  { source }: PreviewScheduleRequest | SimulateScheduleRequest,
  wrong: readonly string[],
): Ask | undefined {
  if (source.case !== "job") return undefined;
  const job = mend(source.value, "job", wrong, "");
  return (scheduler, { projectId }, options) =>
    scheduler.previewSchedule(
      { projectId, request: { source: { case: "job", value: job }, count: 1 } },
      options,
    );
}

/** Returns a copy of a job in which each wrong field has its default or a plain value. `at` is the path of the job. */
function mend(job: Job | undefined, at: string, wrong: readonly string[], name: string): Job {
  const mended = job === undefined ? create(JobSchema) : clone(JobSchema, job);
  const message = reflect(JobSchema, mended);
  for (const field of wrong) {
    if (!field.startsWith(`${at}.`)) continue;
    const [, top = "", index] = /^(\w+)(?:\[(\d+)\])?/.exec(field.slice(at.length + 1)) ?? [];
    const desc = JobSchema.fields.find(({ jsonName }) => jsonName === top);
    if (top === "schedules" && index !== undefined) mended.schedules[Number(index)] = PLAIN_SCHEDULE;
    else if (desc !== undefined) message.clear(desc);
  }
  mended.target ??= PLAIN_TARGET;
  if (mended.name === "") mended.name = name;
  // The payload is not the scheduler's matter, and may be large.
  delete mended.payload;
  delete mended.payloadJson;
  // Secrets never reach the scheduler. An applied job may leave out a secret that the job has already.
  for (const slot of secretSlots(mended.target))
    if (slot.get() !== undefined || at.startsWith("jobs[")) slot.set(ANY_SECRET_ID);
  for (const slot of secretSlots(mended.alerts?.target)) slot.clear();
  return mended;
}

function ofAppliedJob({ field, description }: FieldViolation): FieldViolation {
  return { field: field.replace(/^requests\[(\d+)\]\.job\b/, "jobs[$1]"), description };
}
