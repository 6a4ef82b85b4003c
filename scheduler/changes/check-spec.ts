import { toJsonString } from "@bufbuild/protobuf";
import { type Job, JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { collectErrors } from "../../mesh/all-errors.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";
import type { BoundName } from "../calendars/calendars.ts";
import { edgeNames } from "../calendars/edges.ts";
import { toSpec } from "../job/job.ts";
import { secretErrors } from "../job/secrets.ts";
import type { Parts } from "../parts.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";
import {
  checkAutoDisable,
  checkFlow,
  checkRetryPolicy,
  checkSuccessStatusCodes,
  withDefaults,
} from "./job-defaults.ts";

/** A checked specification. */
export interface CheckedSpec {
  /** The job with every default written out. */
  readonly job: Job;
  /** The specification: what a revision keeps of the job. It shares its parts with `job`. */
  readonly kept: Job;
  /** The specification as proto3 JSON text. */
  readonly spec: string;
  readonly schedule: CompiledSchedule;
}

/**
 * Writes out a job's defaults and checks its target, policies, calendars and schedules. The field rules of the public
 * contract have been checked before. Throws SCHEDULE_INVALID, SCHEDULE_NEVER_FIRES, TIME_ZONE_UNKNOWN or FIELD_INVALID;
 * all that is wrong is in one error, with what `also` throws.
 */
export function checkSpec(
  parts: Pick<Parts, "clock" | "zoneData">,
  given: Job,
  uid: string,
  also: (checked: Pick<CheckedSpec, "job" | "schedule">) => void = () => {},
): CheckedSpec {
  const nowMs = parts.clock.now();
  const zoneData = parts.zoneData.inForce(nowMs);
  const job = withDefaults(given, nowMs);
  const errors = collectErrors();
  if (job.target === undefined)
    errors.add(fieldFailure("FIELD_INVALID", "job.target", "It is required: set webhook, redis or kafka."));
  for (const error of secretErrors(job)) errors.add(error);
  errors.check(() => checkRetryPolicy(job));
  errors.check(() => checkAutoDisable(job));
  errors.check(() => checkSuccessStatusCodes(job));
  errors.check(() => checkFlow(job));
  for (const error of acknowledgementErrors(job)) errors.add(error);
  for (const error of calendarErrors(job)) errors.add(error);
  const schedule = errors.check(() => compileSchedule(job, uid, { zoneData }));
  if (schedule !== undefined) errors.check(() => also({ job, schedule }));
  errors.throwIfAny();
  if (schedule === undefined) throw new Error("A schedule that cannot be compiled made no error.");
  const kept = toSpec(job);
  return { job, kept, spec: toJsonString(JobSchema, kept), schedule };
}

/** Nobody can acknowledge a message in a Redis stream or a Kafka topic: it has no URL and no token. */
function acknowledgementErrors({ acknowledgement, target }: Job): EasyCronError[] {
  if (acknowledgement === undefined || target === undefined || target.kind.case === "webhook") return [];
  const problem = `Only a webhook can be acknowledged, and the target is ${target.kind.case}; leave acknowledgement out.`;
  return [fieldFailure("FIELD_INVALID", "job.acknowledgement", problem)];
}

function calendarErrors({ calendars }: Job): EasyCronError[] {
  return calendars.flatMap(({ name }, index) => {
    if (calendars.findIndex((each) => each.name === name) === index) return [];
    const problem = `"${name}" is listed twice; list each calendar once.`;
    return [fieldFailure("FIELD_INVALID", `job.calendars[${index}].name`, problem)];
  });
}

/** Returns the names of the calendars that a job refers to, each with the path of the field that names it. */
export function calendarNames(job: Pick<Job, "calendars" | "schedules">): BoundName[] {
  const gates = job.calendars.map(({ name }, index) => ({ name, field: `job.calendars[${index}].name` }));
  return [...gates, ...edgeNames(job)];
}
