import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { lintPlan } from "../../cron/lint.ts";
import type { WarningCode as CronWarningCode } from "../../cron/warning.ts";
import { type Job, WarningCode, type WarningSchema } from "../../gen/easycron/v1/job_pb.ts";
import type { RetryPolicy } from "../../gen/easycron/v1/target_pb.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { LintContext } from "./lint-context.ts";

const CODES: Readonly<Record<CronWarningCode, WarningCode>> = {
  NEVER_FIRES: WarningCode.NEVER_FIRES,
  DAY_OF_MONTH_OR_WEEKDAY: WarningCode.DAY_OF_MONTH_OR_WEEKDAY,
  STEP_RESTARTS: WarningCode.STEP_RESTARTS,
  MONTH_END_GAP: WarningCode.MONTH_END_GAP,
  TOP_OF_HOUR: WarningCode.TOP_OF_HOUR,
  OFFSET_CHANGE: WarningCode.OFFSET_CHANGE,
  RETRY_LONGER_THAN_INTERVAL: WarningCode.RETRY_LONGER_THAN_INTERVAL,
  TIME_ZONE_FIXED_OFFSET: WarningCode.TIME_ZONE_FIXED_OFFSET,
  TIME_ZONE_RENAMED: WarningCode.TIME_ZONE_RENAMED,
};

/** What is known about a job beside its specification. What is left out is not checked. */
type WarningContext = Partial<LintContext> & {
  /** How many more triggers `maxFires` allows. Default: no limit. */
  readonly firesLeft?: number;
};

/**
 * Returns warnings about a valid job: what its owner may not expect of its fire times after `afterMs`. The field paths
 * begin at the request, as in `job.schedules[0].cron.expression`.
 */
export function warningsOf(
  schedule: CompiledSchedule,
  job: Pick<Job, "retryPolicy">,
  afterMs: number,
  { gates = [], ...context }: WarningContext = {},
): MessageInitShape<typeof WarningSchema>[] {
  // Retries that end at the next fire time cannot last longer than the interval.
  const { retryPolicy } = job;
  const isEndless = retryPolicy !== undefined && !retryPolicy.giveUpAtNextFireTime;
  const retries = isEndless ? { retryHorizonMs: retryHorizonMs(retryPolicy) } : {};
  const plan = { ...schedule.plan, gates };
  return lintPlan({ ...context, ...retries, plan, afterMs }).map(({ code, field, message }) => ({
    code: CODES[code],
    field: `job.${field}`,
    message,
  }));
}

/** Returns how many milliseconds after the first attempt the last retry may start, without jitter. */
export function retryHorizonMs(policy: RetryPolicy): number {
  const maxMs = policy.maxBackoff === undefined ? Number.POSITIVE_INFINITY : durationMs(policy.maxBackoff);
  const { delays, multiplier } = policy;
  let pauseMs = policy.minBackoff === undefined ? 0 : durationMs(policy.minBackoff);
  let sumMs = 0;
  for (let attempt = 1; attempt < policy.maxAttempts; attempt++, pauseMs *= multiplier || 2) {
    const delay = delays[Math.min(attempt, delays.length) - 1];
    sumMs += delay === undefined ? Math.min(pauseMs, maxMs) : durationMs(delay);
  }
  return Math.min(sumMs, policy.maxAge === undefined ? sumMs : durationMs(policy.maxAge));
}
