import { clone, create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AfterCompletion,
  type AutoDisable,
  AutoDisableSchema,
  type Job,
  JobSchema,
  MisfirePolicy,
  Ordering,
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
  ScheduleSchema,
} from "../../gen/easycron/v1/schedule_pb.ts";
import { type RetryPolicy, RetryPolicySchema } from "../../gen/easycron/v1/target_pb.ts";
import { fieldFailure } from "../../mesh/errors.ts";
import { DEFAULT_CATCHUP_WINDOW_MS, DEFAULT_MAX_CATCHUP } from "../schedules/policies.ts";

/** The default of `retryPolicy.maxAttempts`: the total number of attempts. */
export const DEFAULT_MAX_ATTEMPTS = 8;
/** The largest `retryPolicy.maxAttempts`. */
const MAX_ATTEMPTS = 100;
/** The default of `retryPolicy.minBackoff`: the first delay between two attempts. */
export const DEFAULT_MIN_BACKOFF_MS = 5_000;
/** The default of `retryPolicy.maxBackoff`: the longest delay between two attempts. */
export const DEFAULT_MAX_BACKOFF_MS = 3_600_000;
/** The default of `retryPolicy.maxAge`: how long after the effective time an attempt may still start. */
export const DEFAULT_MAX_AGE_MS = 86_400_000;
/** The default of `retryPolicy.multiplier`: by what each delay is longer than the one before. */
export const DEFAULT_MULTIPLIER = 2;
/**
 * The default of `retryPolicy.nonRetryableStatusCodes`: the statuses that say that the request itself cannot be taken, so
 * that the same request would be refused again. 400, 401, 403 and 404 are not among them: a wrong secret, or a receiver
 * that is being deployed, causes them too, and to give up then would lose triggers.
 */
export const DEFAULT_NON_RETRYABLE_STATUS_CODES: readonly number[] = [405, 413, 414, 415, 422];
/** The default of `attemptTimeout`: the longest time that one attempt may take. */
export const DEFAULT_ATTEMPT_TIMEOUT_MS = 30_000;

/** The default of `autoDisable.afterExhausted`: how many exhausted triggers in a row disable a job. */
export const DEFAULT_AFTER_EXHAUSTED = 20;
/** The default of `autoDisable.afterDuration`: how far the first and the last of them are apart at least. */
export const DEFAULT_AFTER_DURATION_MS = 86_400_000;

/**
 * Returns a copy with every default written out. So a revision keeps its meaning even if a later version of EasyCron
 * has other defaults. A rate without an anchor gets `nowMs` as its anchor.
 */
export function withDefaults(given: Job, nowMs: number): Job {
  const job = copyOf(given);
  for (const schedule of job.schedules) fillSchedule(schedule, nowMs);
  if (job.target?.kind.case === "webhook" && job.target.kind.value.method === "")
    job.target.kind.value.method = "POST";
  job.retryPolicy = fillRetryPolicy(job.retryPolicy);
  fillPolicies(job);
  job.autoDisable = fillAutoDisable(job.autoDisable);
  job.attemptTimeout ??= durationFromMs(DEFAULT_ATTEMPT_TIMEOUT_MS);
  return job;
}

/**
 * Returns a copy of a job with copies of the parts that may get defaults. The others are shared: nobody changes them, and
 * a copy of the whole job takes as long as to write it.
 */
function copyOf(given: Job): Job {
  const { schedules, calendars, target, retryPolicy, autoDisable } = given;
  return {
    ...given,
    schedules: schedules.map((schedule) => clone(ScheduleSchema, schedule)),
    calendars: calendars.map((calendar) => ({ ...calendar })),
    ...(target?.kind.case === "webhook" && target.kind.value.method === ""
      ? { target: { ...target, kind: { case: "webhook", value: { ...target.kind.value } } } }
      : {}),
    ...(retryPolicy === undefined ? {} : { retryPolicy: { ...retryPolicy } }),
    ...(autoDisable === undefined ? {} : { autoDisable: { ...autoDisable } }),
  };
}

/**
 * Returns a copy in which each rate without an anchor gets the anchor of a rate in `before`: the one with the same
 * interval, or else the one at the same index. So an update that does not set an anchor keeps it, even if it changes
 * the interval or the order of the schedules.
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
  if (job.ordering === Ordering.UNSPECIFIED) job.ordering = Ordering.NONE;
}

function fillRetryPolicy(given: RetryPolicy | undefined): RetryPolicy {
  const policy = given ?? create(RetryPolicySchema);
  const { length } = policy.delays;
  if (policy.maxAttempts === 0)
    policy.maxAttempts = length === 0 ? DEFAULT_MAX_ATTEMPTS : Math.min(length + 1, MAX_ATTEMPTS);
  policy.minBackoff ??= durationFromMs(DEFAULT_MIN_BACKOFF_MS);
  policy.maxBackoff ??= durationFromMs(DEFAULT_MAX_BACKOFF_MS);
  policy.maxAge ??= durationFromMs(DEFAULT_MAX_AGE_MS);
  if (policy.multiplier === 0) policy.multiplier = DEFAULT_MULTIPLIER;
  if (policy.nonRetryableStatusCodes.length === 0)
    policy.nonRetryableStatusCodes = [...DEFAULT_NON_RETRYABLE_STATUS_CODES];
  return policy;
}

function fillAutoDisable(given: AutoDisable | undefined): AutoDisable {
  const policy = given ?? create(AutoDisableSchema);
  if (policy.afterExhausted === 0) policy.afterExhausted = DEFAULT_AFTER_EXHAUSTED;
  policy.afterDuration ??= durationFromMs(DEFAULT_AFTER_DURATION_MS);
  return policy;
}

/** Checks that one exhausted trigger does not disable a job: it says nothing about the next. Throws FIELD_INVALID. */
export function checkAutoDisable({ autoDisable }: Job): void {
  if (autoDisable?.afterExhausted !== 1) return;
  const problem =
    "1 would disable the job after a single exhausted trigger; set 2 to 1000, or off to never disable it.";
  throw fieldFailure("FIELD_INVALID", "job.autoDisable.afterExhausted", problem);
}

/**
 * Checks the rule between two fields of the retry policy. Throws FIELD_INVALID when maxBackoff is less than minBackoff.
 */
export function checkRetryPolicy(job: Job): void {
  const policy = job.retryPolicy;
  if (policy?.minBackoff === undefined || policy.maxBackoff === undefined) return;
  const minMs = durationMs(policy.minBackoff);
  const maxMs = durationMs(policy.maxBackoff);
  if (maxMs >= minMs) return;
  const field = "job.retryPolicy.maxBackoff";
  const problem = `${maxMs / 1000}s is less than minBackoff, ${minMs / 1000}s; set it to at least that.`;
  throw fieldFailure("FIELD_INVALID", field, problem);
}

/** Checks the ranges in a webhook's successStatusCodes. Throws FIELD_INVALID when one ends before it begins. */
export function checkSuccessStatusCodes({ target }: Job): void {
  if (target?.kind.case !== "webhook") return;
  for (const [index, text] of target.kind.value.successStatusCodes.entries()) {
    const [first = "", last = first] = text.split("-");
    if (Number(first) <= Number(last)) continue;
    const field = `job.target.webhook.successStatusCodes[${index}]`;
    throw fieldFailure("FIELD_INVALID", field, `"${text}" ends before it begins; write "${last}-${first}".`);
  }
}

/** The least `flow.ratePerSecond`: one start in 10,000 s. */
const MIN_RATE_PER_SECOND = 0.0001;

/** Checks that the limits of a flow key limit something. Throws FIELD_INVALID. */
export function checkFlow({ flow }: Job): void {
  if (flow === undefined) return;
  const { maxInFlight, ratePerSecond } = flow;
  if (maxInFlight === 0 && ratePerSecond === 0) {
    throw fieldFailure(
      "FIELD_INVALID",
      "job.flow",
      "It has no limit; set maxInFlight, ratePerSecond or both.",
    );
  }
  if (ratePerSecond === 0 || ratePerSecond >= MIN_RATE_PER_SECOND) return;
  const problem = `${ratePerSecond} is less than ${MIN_RATE_PER_SECOND}, one start in 10,000 s; set at least that.`;
  throw fieldFailure("FIELD_INVALID", "job.flow.ratePerSecond", problem);
}
