import {
  partsOfJson,
  type ReadTriggerOptions,
  type ReceivedTrigger,
  type SignedParts,
  TriggerMessageError,
  toText,
  verifyMessage,
} from "../consumers/trigger-message.ts";

/** Text or bytes, as a client of Redis returns them. */
export type RedisValue = string | Uint8Array;

/** An entry of a stream as ioredis returns it: its id, then names and values in turn. */
export type StreamEntry = readonly [id: RedisValue, fields: readonly RedisValue[]];

/**
 * A message in Redis: an entry of a stream, as ioredis (`[id, fields]`) or node-redis (`{ id, message }`) returns it, or
 * the text of a list's element, of a channel's message or of a key.
 */
export type RedisMessage =
  | RedisValue
  | StreamEntry
  | { readonly message: Readonly<Record<string, RedisValue>> };

/**
 * Verifies a message that EasyCron wrote into Redis, and returns its trigger:
 * `readTrigger(await redis.lpop(list), secret)`. With several secrets, a signature made with any of them is enough.
 * Throws a WebhookVerificationError if the signature is wrong, and a TriggerMessageError if EasyCron did not write it.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const { id, headers, body } = signTrigger({ secret, job: "payroll" });
 * // As `redis.lpop(list)` returns it. EasyCron writes more members, which need no check.
 * const element = JSON.stringify({ id, ...headers, data: body });
 * console.log(readTrigger(element, secret).trigger.job.name); // payroll
 * ```
 */
export function readTrigger(
  message: RedisMessage,
  secrets: string | readonly string[] | undefined,
  options: ReadTriggerOptions = {},
): ReceivedTrigger {
  return verifyMessage(partsOf(message), secrets, options);
}

function partsOf(message: RedisMessage): SignedParts {
  const text = toText(message);
  if (text !== undefined) return partsOfJson(text);
  const fields = fieldsOf(message);
  return {
    id: toText(fields.get("id")),
    timestamp: toText(fields.get("webhook-timestamp")),
    signature: toText(fields.get("webhook-signature")),
    data: fields.get("data"),
  };
}

function fieldsOf(message: unknown): ReadonlyMap<string, RedisValue> {
  if (Array.isArray(message) && Array.isArray(message[1])) return pairs(message[1] as readonly RedisValue[]);
  if (isObject(message) && isObject(message.message)) {
    return new Map(Object.entries(message.message as Record<string, RedisValue>));
  }
  throw new TriggerMessageError(
    "MALFORMED",
    "The message is not an entry of a stream, nor text; pass what the client returned.",
  );
}

function pairs(fields: readonly RedisValue[]): Map<string, RedisValue> {
  const map = new Map<string, RedisValue>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const value = fields[at + 1];
    if (value !== undefined) map.set(toText(fields[at]) ?? "", value);
  }
  return map;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
