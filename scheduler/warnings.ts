import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { CalendarGate } from "../cron/calendar-gate.ts";
import { lintPlan } from "../cron/lint.ts";
import type { WarningCode as CronWarningCode } from "../cron/warning.ts";
import { type Job, WarningCode, type WarningSchema } from "../gen/easycron/v1/job_pb.ts";
import type { RetryPolicy } from "../gen/easycron/v1/target_pb.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";

const CODES: Readonly<Record<CronWarningCode, WarningCode>> = {
  NEVER_FIRES: WarningCode.NEVER_FIRES,
  DAY_OF_MONTH_OR_WEEKDAY: WarningCode.DAY_OF_MONTH_OR_WEEKDAY,
  STEP_RESTARTS: WarningCode.STEP_RESTARTS,
  MONTH_END_GAP: WarningCode.MONTH_END_GAP,
  TOP_OF_HOUR: WarningCode.TOP_OF_HOUR,
  OFFSET_CHANGE: WarningCode.OFFSET_CHANGE,
  RETRY_LONGER_THAN_INTERVAL: WarningCode.RETRY_LONGER_THAN_INTERVAL,
};

/** From this many other jobs on, the top of the hour is crowded. */
const CROWD = 10;

/** What a customer should know about a valid job as of `nowMs`; paths begin at the request ("job.schedules[0]…"). */
export function warningsOf(
  schedule: CompiledSchedule,
  job: Pick<Job, "retryPolicy">,
  nowMs: number,
  known: { readonly gates?: readonly CalendarGate[]; readonly jobsAtTopOfHour?: number } = {},
): MessageInitShape<typeof WarningSchema>[] {
  const retries = job.retryPolicy === undefined ? {} : { retryHorizonMs: retryHorizonMs(job.retryPolicy) };
  const { gates = [], jobsAtTopOfHour = 0 } = known;
  const plan = { ...schedule.plan, gates };
  const crowd = jobsAtTopOfHour < CROWD ? {} : { jobsAtTopOfHour };
  return lintPlan({ plan, nowMs, ...retries, ...crowd }).map(({ code, field, message }) => ({
    code: CODES[code],
    field: `job.${field}`,
    message,
  }));
}

/** How long after its first attempt a trigger may start its last one, jitter aside. */
export function retryHorizonMs(policy: RetryPolicy): number {
  const maxMs = policy.maxBackoff === undefined ? Number.POSITIVE_INFINITY : durationMs(policy.maxBackoff);
  let pauseMs = policy.minBackoff === undefined ? 0 : durationMs(policy.minBackoff);
  let sumMs = 0;
  for (let attempt = 1; attempt < policy.maxAttempts; attempt++, pauseMs *= 2)
    sumMs += Math.min(pauseMs, maxMs);
  return Math.min(sumMs, policy.maxAge === undefined ? sumMs : durationMs(policy.maxAge));
}
