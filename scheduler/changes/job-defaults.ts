import { clone, create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AfterCompletion,
  type Job,
  JobSchema,
  MisfirePolicy,
  Outside,
  OverlapPolicy,
} from "../../gen/easycron/v1/job_pb.ts";
import {
  CronDialect,
  DstGap,
  DstOverlap,
  DstPolicySchema,
  type RateSchedule,
  type Schedule,
} from "../../gen/easycron/v1/schedule_pb.ts";
import { type RetryPolicy, RetryPolicySchema } from "../../gen/easycron/v1/target_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { DEFAULT_CATCHUP_WINDOW_MS, DEFAULT_MAX_CATCHUP } from "../schedules/policies.ts";

/** Attempts in all when a job does not say. */
export const DEFAULT_MAX_ATTEMPTS = 8;
/** First pause between attempts when a job does not say. */
export const DEFAULT_MIN_BACKOFF_MS = 5_000;
/** Longest pause between attempts when a job does not say. */
export const DEFAULT_MAX_BACKOFF_MS = 3_600_000;
/** How long after the effective time an attempt may still start when a job does not say. */
export const DEFAULT_MAX_AGE_MS = 86_400_000;
/** Longest time of one attempt when a job does not say. */
export const DEFAULT_ATTEMPT_TIMEOUT_MS = 30_000;

/**
 * A copy with every default written out, so that a revision means the same for ever, whatever a later version's
 * defaults are. `nowMs` is the anchor of a rate that names none.
 */
export function withDefaults(given: Job, nowMs: number): Job {
  const job = clone(JobSchema, given);
  for (const schedule of job.schedules) fillSchedule(schedule, nowMs);
  if (job.target?.kind.case === "webhook" && job.target.kind.value.method === "")
    job.target.kind.value.method = "POST";
  job.retryPolicy = fillRetryPolicy(job.retryPolicy);
  fillPolicies(job);
  job.attemptTimeout ??= durationFromMs(DEFAULT_ATTEMPT_TIMEOUT_MS);
  return job;
}

/**
 * A copy whose rates without an anchor have the one that the rate of the same interval in `before` has, or else the one
 * of the rate in the same place: an update that says nothing of it keeps it, whatever becomes of interval and order.
 */
export function keepAnchors(before: Pick<Job, "schedules">, given: Job): Job {
  const job = clone(JobSchema, given);
  const former = before.schedules.map(({ kind }) => (kind.case === "rate" ? kind.value : undefined));
  for (const [index, { kind }] of job.schedules.entries()) {
    if (kind.case !== "rate") continue;
    const everyMs = intervalOf(kind.value);
    const same = former.find((rate) => rate !== undefined && intervalOf(rate) === everyMs);
    const anchorTime = (same ?? former[index])?.anchorTime;
    if (anchorTime !== undefined) kind.value.anchorTime ??= anchorTime;
  }
  return job;
}

function intervalOf({ every }: Pick<RateSchedule, "every">): number {
  return every === undefined ? 0 : durationMs(every);
}

function fillSchedule(schedule: Schedule, nowMs: number): void {
  if (schedule.kind.case === "rate") schedule.kind.value.anchorTime ??= timestampFromMs(nowMs);
  if (schedule.timeZone === "") schedule.timeZone = "UTC";
  if (schedule.kind.case === "cron" && schedule.kind.value.dialect === CronDialect.UNSPECIFIED) {
    schedule.kind.value.dialect = CronDialect.STANDARD;
  }
  const dst = schedule.dstPolicy ?? create(DstPolicySchema);
  schedule.dstPolicy = dst;
  if (dst.gap === DstGap.UNSPECIFIED) dst.gap = DstGap.FIRE_AT_END;
  if (dst.overlap === DstOverlap.UNSPECIFIED) dst.overlap = DstOverlap.FIRST;
}

function fillPolicies(job: Job): void {
  for (const reference of job.calendars) {
    if (reference.outside === Outside.UNSPECIFIED) reference.outside = Outside.SKIP;
  }
  if (job.misfirePolicy === MisfirePolicy.UNSPECIFIED) job.misfirePolicy = MisfirePolicy.FIRE_ALL;
  job.catchupWindow ??= durationFromMs(DEFAULT_CATCHUP_WINDOW_MS);
  if (job.maxCatchup === 0) job.maxCatchup = DEFAULT_MAX_CATCHUP;
  if (job.overlapPolicy === OverlapPolicy.UNSPECIFIED) job.overlapPolicy = OverlapPolicy.ALLOW_ALL;
  if (job.afterCompletion === AfterCompletion.UNSPECIFIED) job.afterCompletion = AfterCompletion.NONE;
}

function fillRetryPolicy(given: RetryPolicy | undefined): RetryPolicy {
  const policy = given ?? create(RetryPolicySchema);
  if (policy.maxAttempts === 0) policy.maxAttempts = DEFAULT_MAX_ATTEMPTS;
  policy.minBackoff ??= durationFromMs(DEFAULT_MIN_BACKOFF_MS);
  policy.maxBackoff ??= durationFromMs(DEFAULT_MAX_BACKOFF_MS);
  policy.maxAge ??= durationFromMs(DEFAULT_MAX_AGE_MS);
  return policy;
}

/** Checks what no single field's rule can: throws FIELD_INVALID when the longest pause is less than the first. */
export function checkRetryPolicy(job: Job): void {
  const policy = job.retryPolicy;
  if (policy?.minBackoff === undefined || policy.maxBackoff === undefined) return;
  const minMs = durationMs(policy.minBackoff);
  const maxMs = durationMs(policy.maxBackoff);
  if (maxMs >= minMs) return;
  const field = "job.retryPolicy.maxBackoff";
  const problem = `${maxMs / 1000}s is less than minBackoff, ${minMs / 1000}s; it must be at least that.`;
  throw fieldFailure("FIELD_INVALID", field, problem);
}
