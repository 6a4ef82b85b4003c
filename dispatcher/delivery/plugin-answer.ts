import type { Delivery as Answer } from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import type { Delivery, Outcome } from "./outcome.ts";
import type { PluginName } from "./plugin-target.ts";

/** The names of the brokers as customers know them. */
const BROKERS: Readonly<Record<PluginName, string>> = { redis: "Redis", kafka: "Kafka" };

/** Most characters of a text of the plugin-delivery service that are kept. */
const MAX_TEXT = 1_000;

/** Converts the outcome of one message. `triggerId` is the trigger of the message. */
export function toPluginDelivery(
  plugin: PluginName,
  answer: Answer | undefined,
  triggerId: string,
): Delivery {
  if (answer?.triggerId !== triggerId) {
    const cause = new Error(`no outcome of ${triggerId}; in its place is ${answer?.triggerId ?? "none"}`);
    return { ...unknown(plugin), cause };
  }
  const outcome = toOutcome(answer);
  const error = outcome.kind === "SUCCEEDED" ? "" : toText(answer.error) || unknown(plugin).error;
  return { outcome, error, responseBody: toText(answer.position) };
}

function toOutcome({ outcome, isFinal }: Answer): Outcome {
  switch (outcome) {
    case AttemptOutcome.SUCCEEDED:
      return { kind: "SUCCEEDED", statusCode: null };
    case AttemptOutcome.REJECTED:
      return { kind: "REJECTED", statusCode: null, isFinal, retryAfterMs: undefined };
    case AttemptOutcome.NOT_SENT:
      return { kind: "NOT_SENT" };
    default:
      return { kind: "UNKNOWN" };
  }
}

// PostgreSQL's text type cannot hold U+0000.
function toText(text: string): string {
  return text.slice(0, MAX_TEXT).replaceAll("\0", "\ufffd");
}

/**
 * Converts the error of a call. A call that found no connection, or that was refused before it was served, has written
 * nothing. After any other error, the outcome is unknown.
 */
export function toFailedCall(
  plugin: PluginName,
  error: unknown,
  { isUnsent }: { readonly isUnsent: boolean },
): Delivery {
  const { reason } = EasyCronError.from(error);
  const cause = error;
  if (reason === "METHOD_UNIMPLEMENTED" || reason === "PLUGIN_NOT_AVAILABLE")
    return { ...toUnavailable(plugin), cause };
  if (isUnsent) return { ...notSent("Plugin delivery cannot be reached at the moment."), cause };
  return { ...unknown(plugin), cause };
}

/** Returns the delivery of an attempt whose time limit is over. */
export function toExpired(
  plugin: PluginName,
  { timeoutMs, isSent }: { readonly timeoutMs: number; readonly isSent: boolean },
): Delivery {
  const limit = `${timeoutMs / 1_000} s`;
  if (isSent) return unknown(plugin, ` within ${limit}`);
  return notSent(`${BROKERS[plugin]} was busy with earlier messages for ${limit}.`);
}

/** Returns the delivery of an attempt at a plugin that this installation does not have. */
export function toUnavailable(plugin: PluginName): Delivery {
  return notSent(
    `The operator of this EasyCron has not set up the ${BROKERS[plugin]} plugin; use another target.`,
  );
}

function notSent(error: string): Delivery {
  return { outcome: { kind: "NOT_SENT" }, error, responseBody: "" };
}

function unknown(plugin: PluginName, when = ""): Delivery {
  const error = `${BROKERS[plugin]} did not answer${when}; the message may have been written.`;
  return { outcome: { kind: "UNKNOWN" }, error, responseBody: "" };
}
