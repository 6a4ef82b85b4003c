import type { TriggerFired } from "../trigger-fired.ts";
import { type VerifyOptions, verify, WebhookVerificationError } from "../webhook.ts";
import { textOfMember } from "./json-member.ts";

/** A genuine trigger that EasyCron wrote into a broker. All of it is signed. */
export interface ReceivedTrigger {
  /** The trigger's id, trg_…: the same in every copy of the message. */
  readonly id: string;
  /** When the attempt was made that wrote this message, to the second. */
  readonly timestamp: Date;
  /** EasyCron's data on the trigger: the same as in a webhook. */
  readonly trigger: TriggerFired;
}

/** Options of `readTrigger`. */
export interface ReadTriggerOptions extends Pick<VerifyOptions, "now"> {
  /**
   * How old a message may be, in seconds. Default: as old as it is, because a broker keeps messages until a consumer
   * comes. An id that is remembered stops a message that somebody writes again.
   */
  readonly toleranceSeconds?: number;
}

/** Why a message is not one of EasyCron's. */
export type TriggerMessageReason =
  /** The message has no text, or the text is not a JSON object. */
  | "MALFORMED"
  /** The message has no `data`, `id`, `webhook-timestamp` or `webhook-signature`. */
  | "FIELD_MISSING"
  /** Its signature is right, but it is not about a trigger. */
  | "NOT_A_TRIGGER";

/**
 * The message is not a trigger that EasyCron wrote.
 *
 * @example
 * ```ts
 * try {
 *   readTrigger("hello", process.env.EASYCRON_SIGNING_SECRET);
 * } catch (error) {
 *   if (!(error instanceof TriggerMessageError)) throw error;
 *   console.log(error.reason); // MALFORMED
 * }
 * ```
 */
export class TriggerMessageError extends Error {
  override readonly name = "TriggerMessageError";
  /** What is wrong, for programs. */
  readonly reason: TriggerMessageReason;

  constructor(reason: TriggerMessageReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** The parts of a message that a signature covers, and the signature. */
export interface SignedParts {
  readonly id: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  /** The document, as text or bytes. */
  readonly data: string | Uint8Array | undefined;
}

/**
 * Verifies a message and returns its trigger. Throws a WebhookVerificationError if the signature is wrong, and a
 * TriggerMessageError if a part is missing or the document is not a trigger.
 */
export function verifyMessage(
  parts: SignedParts,
  secrets: string | readonly string[] | undefined,
  { toleranceSeconds = Number.POSITIVE_INFINITY, now }: ReadTriggerOptions,
): ReceivedTrigger {
  const headers = {
    "webhook-id": required("id", parts.id),
    "webhook-timestamp": required("webhook-timestamp", parts.timestamp),
    "webhook-signature": required("webhook-signature", parts.signature),
  };
  const options = { toleranceSeconds, ...(now === undefined ? {} : { now }) };
  const { id, timestamp, trigger } = verify(required("data", parts.data), headers, secrets, options);
  if (trigger !== undefined) return { id, timestamp, trigger };
  throw new TriggerMessageError("NOT_A_TRIGGER", `The message ${id} is genuine, but it is not a trigger.`);
}

/** Throws the WebhookVerificationError that every message would get if a secret is missing or is none. */
export function checkSecrets(secrets: string | readonly string[] | undefined): void {
  const nothing = `v1,${"A".repeat(43)}=`;
  const headers = { "webhook-id": "none", "webhook-timestamp": "0", "webhook-signature": nothing };
  try {
    verify("", headers, secrets, { toleranceSeconds: Number.POSITIVE_INFINITY });
  } catch (error) {
    if (!(error instanceof WebhookVerificationError) || error.reason === "SECRET_MALFORMED") throw error;
  }
}

function required<T extends string | Uint8Array>(name: string, value: T | undefined): T {
  if (value !== undefined && value.length > 0) return value;
  throw new TriggerMessageError("FIELD_MISSING", `The message has no ${name}; EasyCron did not write it.`);
}

/** Reads the signed parts of a message that is one JSON object. Throws a TriggerMessageError. */
export function partsOfJson(json: string): SignedParts {
  const message = parseObject(json);
  const text = (name: string) => textOrUndefined(message[name]);
  return {
    id: text("id"),
    timestamp: text("webhook-timestamp"),
    signature: text("webhook-signature"),
    data: text("data") ?? textOfMember(json, "data"),
  };
}

function textOrUndefined(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Not JSON: refused below.
  }
  throw new TriggerMessageError("MALFORMED", "The message is not a JSON object; EasyCron did not write it.");
}

/** Returns text as it is, and decodes bytes as UTF-8. Undefined for anything else. */
export function toText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : undefined;
}
