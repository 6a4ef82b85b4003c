import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { lintPlan } from "../../cron/lint.ts";
import type { WarningCode as CronWarningCode } from "../../cron/warning.ts";
import { type Job, WarningCode, type WarningSchema } from "../../gen/easycron/v1/job_pb.ts";
import type { RetryPolicy } from "../../gen/easycron/v1/target_pb.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Known } from "./lint-context.ts";

const CODES: Readonly<Record<CronWarningCode, WarningCode>> = {
  NEVER_FIRES: WarningCode.NEVER_FIRES,
  DAY_OF_MONTH_OR_WEEKDAY: WarningCode.DAY_OF_MONTH_OR_WEEKDAY,
  STEP_RESTARTS: WarningCode.STEP_RESTARTS,
  MONTH_END_GAP: WarningCode.MONTH_END_GAP,
  TOP_OF_HOUR: WarningCode.TOP_OF_HOUR,
  OFFSET_CHANGE: WarningCode.OFFSET_CHANGE,
  RETRY_LONGER_THAN_INTERVAL: WarningCode.RETRY_LONGER_THAN_INTERVAL,
};

/** What is known of a job beside its specification. */
type KnownOfJob = Partial<Known> & {
  /** How many more triggers it may make; left out, as many as it likes. */
  readonly firesLeft?: number;
};

/**
 * What a customer should know about how a valid job fires after `afterMs`; paths begin at the request
 * ("job.schedules[0]…").
 */
export function warningsOf(
  schedule: CompiledSchedule,
  job: Pick<Job, "retryPolicy">,
  afterMs: number,
  { gates = [], ...known }: KnownOfJob = {},
): MessageInitShape<typeof WarningSchema>[] {
  const retries = job.retryPolicy === undefined ? {} : { retryHorizonMs: retryHorizonMs(job.retryPolicy) };
  const plan = { ...schedule.plan, gates };
  return lintPlan({ ...known, ...retries, plan, afterMs }).map(({ code, field, message }) => ({
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
