import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { DisableCause, type DisableReason, DisableReasonSchema } from "../../gen/easycron/v1/job_pb.ts";

/** What has made EasyCron pause (GONE, RECEIVER) or disable (EXHAUSTED) a job. Source: easycron.v1.DisableCause. */
export type DisableCauseName = "GONE" | "RECEIVER" | "EXHAUSTED";

/** Why EasyCron has paused or disabled a job, as scheduler.jobs keeps it. Source: easycron.v1.DisableReason. */
export interface StoredDisableReason {
  readonly cause: DisableCauseName;
  /** The id of the trigger whose attempt was the reason. */
  readonly trigger: string;
  /** The status of its last attempt; null if there was none. */
  readonly statusCode: number | null;
  /** The host of the webhook's URL; empty if the target is not a webhook. */
  readonly host: string;
  /** When the trigger ended, in epoch milliseconds. */
  readonly timeMs: number;
  /** How many triggers in a row were exhausted; 0 with another cause. */
  readonly exhaustedCount: number;
}

const CAUSES: Readonly<Record<DisableCauseName, DisableCause>> = {
  GONE: DisableCause.GONE,
  RECEIVER: DisableCause.RECEIVER,
  EXHAUSTED: DisableCause.EXHAUSTED,
};

/** Returns the reason as customers see it. */
export function toDisableReason(stored: StoredDisableReason): DisableReason {
  const { cause, trigger, statusCode, host, timeMs, exhaustedCount } = stored;
  return create(DisableReasonSchema, {
    cause: CAUSES[cause],
    trigger,
    host,
    time: timestampFromMs(timeMs),
    exhaustedCount,
    ...(statusCode === null ? {} : { statusCode }),
  });
}

/** Says in sentences why EasyCron has paused or disabled a job, and what to do: the note of the pause. */
export function describeDisableReason(reason: StoredDisableReason): string {
  const { cause, trigger, statusCode, host, exhaustedCount } = reason;
  const answered = statusCode === null ? "" : `answered ${statusCode}`;
  const receiver = host === "" ? "The receiver" : host;
  switch (cause) {
    case "GONE":
      return `EasyCron has paused the job: ${receiver} answered 410 Gone to ${trigger}. Set another target or mend this one, then call ResumeJob.`;
    case "RECEIVER":
      return `EasyCron has paused the job: ${receiver} ${answered === "" ? "answered" : answered} with "webhook-delivery: disable" to ${trigger}. Call ResumeJob when it wants triggers again.`;
    case "EXHAUSTED": {
      const last = answered === "" ? "" : `, which ${receiver} ${answered}`;
      return `EasyCron has disabled the job: ${exhaustedCount} triggers in a row were exhausted, the last one is ${trigger}${last}. Mend the target, then call ResumeJob.`;
    }
  }
}
