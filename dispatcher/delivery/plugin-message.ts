import type { KeyObject } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MessageSchema } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { PluginTarget } from "./plugin-target.ts";
import { signWebhook } from "./signature.ts";
import type { StartedAttempt } from "./started-attempt.ts";
import { toWebhookBody } from "./webhook-body.ts";

/** One attempt to deliver a trigger to a plugin. */
export interface PluginAttempt extends StartedAttempt {
  readonly target: PluginTarget;
  /** Signing keys: at least one, newest first. */
  readonly keys: readonly KeyObject[];
}

/** A message of plugin delivery, to be encoded. */
export type PluginMessage = MessageInitShape<typeof MessageSchema> & {
  readonly triggerId: string;
  readonly body: Uint8Array;
};

/**
 * How long a guard is remembered after the last attempt may have ended. It covers clocks that differ, and a message that
 * waits on its way.
 */
const GUARD_EXTRA_MS = 3_600_000;

/**
 * Makes the message of an attempt: the same document as a webhook's body, with the same signature.
 *
 * The guard is the same for all attempts of a trigger, and another one after a backfill has made the trigger due again,
 * because then it must be delivered again. It must be remembered as long as there can be another attempt.
 */
export function toPluginMessage(attempt: PluginAttempt): PluginMessage {
  const { trigger, spec, number, startTimeMs, target, keys } = attempt;
  const body = Buffer.from(toWebhookBody(trigger, number, trigger.payload ?? spec.payload));
  const timestampSeconds = Math.floor(startTimeMs / 1_000);
  const lastStartMs = Math.max(startTimeMs, trigger.effectiveTimeMs + spec.retryPolicy.maxAgeMs);
  return {
    triggerId: trigger.id,
    target: target.target,
    body,
    jobName: trigger.jobName,
    jobUid: trigger.jobUid,
    fireTime: toIso(trigger.fireTimeMs),
    webhookTimestamp: BigInt(timestampSeconds),
    webhookSignature: signWebhook({ id: trigger.id, timestampSeconds, body }, keys),
    guard: `${trigger.id}.${trigger.attemptBase}`,
    guardTtlMs: BigInt(Math.ceil(lastStartMs - startTimeMs + spec.attemptTimeoutMs + GUARD_EXTRA_MS)),
  };
}
