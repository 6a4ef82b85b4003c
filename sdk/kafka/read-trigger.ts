import {
  partsOfJson,
  type ReadTriggerOptions,
  type ReceivedTrigger,
  type SignedParts,
  TriggerMessageError,
  toText,
  verifyMessage,
} from "../consumers/trigger-message.ts";

/** The headers of a message, as kafkajs (an object) or @platformatic/kafka (a map) returns them. */
export type KafkaHeaders =
  | { readonly [name: string]: unknown }
  | { entries(): Iterable<readonly [unknown, unknown]> };

/** A message in Kafka, as kafkajs returns it. */
export interface KafkaMessage {
  readonly value: Uint8Array | string | null;
  readonly headers?: KafkaHeaders | undefined;
}

/**
 * Verifies a message that EasyCron wrote into Kafka, in CloudEvents' binary or structured mode, and returns its trigger:
 * `eachMessage: ({ message }) => readTrigger(message, secret)`. With several secrets, a signature made with any of them
 * is enough. Throws a WebhookVerificationError if the signature is wrong, and a TriggerMessageError if EasyCron did not
 * write it.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const { headers, body } = signTrigger({ secret, job: "payroll" });
 * console.log(readTrigger({ value: body, headers }, secret).trigger.job.name); // payroll
 * ```
 */
export function readTrigger(
  message: KafkaMessage,
  secrets: string | readonly string[] | undefined,
  options: ReadTriggerOptions = {},
): ReceivedTrigger {
  return verifyMessage(partsOf(message ?? { value: null }), secrets, options);
}

function partsOf({ value, headers = {} }: KafkaMessage): SignedParts {
  if (value === null || value === undefined) {
    throw new TriggerMessageError("MALFORMED", "The message has no value; EasyCron did not write it.");
  }
  const header = readableHeaders(headers);
  const signed = {
    id: header("webhook-id") ?? header("ce_id"),
    timestamp: header("webhook-timestamp"),
    signature: header("webhook-signature"),
  };
  const isStructured =
    header("content-type")?.toLowerCase().startsWith("application/cloudevents+json") ?? false;
  if (!isStructured) return { ...signed, data: value };
  const members = partsOfJson(toText(value) ?? "");
  return {
    id: signed.id ?? members.id,
    timestamp: signed.timestamp ?? members.timestamp,
    signature: signed.signature ?? members.signature,
    data: members.data,
  };
}

/** Returns a function that returns the text of a header. Of several values, the last one counts. */
function readableHeaders(headers: KafkaHeaders): (name: string) => string | undefined {
  const entries = typeof headers.entries === "function" ? [...headers.entries()] : Object.entries(headers);
  const byName = new Map(entries.map(([name, value]) => [toText(name), value]));
  return (name) => {
    const value = byName.get(name);
    return toText(Array.isArray(value) ? value.at(-1) : value);
  };
}
