import { isAnyArrayBuffer } from "node:util/types";
import { type TriggerFired, toTriggerFired } from "./trigger-fired.ts";
import { WebhookVerificationError, type WebhookVerificationReason } from "./webhook-error.ts";
import { isSignedByAny, parseSignatures, toKeys } from "./webhook-signature.ts";

export type { TriggerFired } from "./trigger-fired.ts";
export { type TriggerIdParts, triggerId } from "./trigger-id.ts";
export { WebhookVerificationError, type WebhookVerificationReason } from "./webhook-error.ts";

/** The request's headers: a plain object (Node's `request.headers`, Express, Lambda) or a `Headers`. */
export type WebhookHeaders =
  | { readonly [name: string]: string | readonly string[] | undefined }
  | { get(name: string): string | null };

/** Options of `verify`. */
export interface VerifyOptions {
  /** How far `webhook-timestamp` may be from now, before or after, in seconds. Default 300. */
  readonly toleranceSeconds?: number;
  /** Returns the present time. Default: the system's clock. */
  readonly now?: () => Date;
}

/** A genuine webhook. */
export interface VerifiedWebhook {
  /**
   * The id of the webhook, the same for every attempt of one trigger. A receiver that remembers it runs each fire
   * time once.
   */
  readonly id: string;
  /** When this attempt was sent, to the second. */
  readonly timestamp: Date;
  /** EasyCron's data on the trigger. Undefined for a webhook of another sender. */
  readonly trigger: TriggerFired | undefined;
  /** The body, parsed as JSON. Undefined when it is not JSON in UTF-8. */
  readonly body: unknown;
}

const ID = /^[A-Za-z0-9_-]{1,128}$/;
const TIMESTAMP = /^[0-9]{1,12}$/;

/**
 * Verifies a request that any sender signed according to the Standard Webhooks specification, version v1
 * (HMAC-SHA256). `rawBody` is the body as received, before any parsing; bytes are best, because a text may have been
 * decoded wrongly. With several secrets, a signature made with any of them is enough. Throws a
 * WebhookVerificationError.
 */
export function verify(
  rawBody: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secrets: string | readonly string[] | undefined,
  options: VerifyOptions = {},
): VerifiedWebhook {
  const body = toBytes(rawBody);
  const keys = toKeys(secrets);
  const id = readHeader(headers, "webhook-id");
  const timestamp = readHeader(headers, "webhook-timestamp");
  const signatures = parseSignatures(readHeader(headers, "webhook-signature"));
  // A dot in the id could move the border between id and timestamp, and the signature would still match.
  if (!ID.test(id))
    throw refusal("ID_MALFORMED", "The header webhook-id must be 1 to 128 of A-Z a-z 0-9 _ -.");
  checkTimestamp(timestamp, options);
  if (!isSignedByAny({ id, timestamp, body }, signatures, keys)) {
    throw refusal(
      "SIGNATURE_MISMATCH",
      "No signature matches this id, timestamp and body with any of the given secrets; check the secret.",
    );
  }
  const parsed = parseJson(body);
  return {
    id,
    timestamp: new Date(Number(timestamp) * 1_000),
    trigger: toTriggerFired(parsed),
    body: parsed,
  };
}

function toBytes(rawBody: unknown): Uint8Array {
  if (typeof rawBody === "string") return Buffer.from(rawBody, "utf8");
  if (ArrayBuffer.isView(rawBody)) {
    return new Uint8Array(rawBody.buffer, rawBody.byteOffset, rawBody.byteLength);
  }
  if (isAnyArrayBuffer(rawBody)) return new Uint8Array(rawBody);
  throw refusal(
    "BODY_NOT_RAW",
    `The body is ${rawBody === null ? "null" : typeof rawBody}; it must be the raw text or bytes, before parsing.`,
  );
}

function readHeader(headers: WebhookHeaders, name: string): string {
  const value = isGettable(headers) ? headers.get(name) : findHeader(headers, name);
  if (typeof value === "string" && value !== "") return value;
  throw refusal("HEADER_MISSING", `The header ${name} is missing.`);
}

function isGettable(headers: WebhookHeaders): headers is { get(name: string): string | null } {
  return typeof headers.get === "function";
}

// Several values of a header become one text. Only webhook-signature may have several; the other checks refuse such a
// text.
function findHeader(headers: { readonly [name: string]: unknown }, name: string): string {
  const values = Object.entries(headers).flatMap(([key, value]) =>
    key.toLowerCase() === name ? (value ?? []) : [],
  );
  return values.map(String).join(" ");
}

function checkTimestamp(
  text: string,
  { toleranceSeconds = 300, now = () => new Date() }: VerifyOptions,
): void {
  if (!TIMESTAMP.test(text)) {
    throw refusal("TIMESTAMP_MALFORMED", "The header webhook-timestamp must be whole seconds since 1970.");
  }
  const nowSeconds = Math.floor(now().getTime() / 1_000);
  // NaN would count as within the tolerance.
  if (!(toleranceSeconds >= 0) || Number.isNaN(nowSeconds)) {
    throw new RangeError("toleranceSeconds must be a number from 0 upwards, and now() a valid date.");
  }
  const ageSeconds = nowSeconds - Number(text);
  const apart = `${Math.abs(ageSeconds)} s, more than ${toleranceSeconds} s,`;
  if (ageSeconds > toleranceSeconds) throw refusal("TIMESTAMP_TOO_OLD", `The webhook was sent ${apart} ago.`);
  if (-ageSeconds > toleranceSeconds) {
    throw refusal("TIMESTAMP_TOO_NEW", `The webhook was sent ${apart} ahead of this machine's clock.`);
  }
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

function refusal(reason: WebhookVerificationReason, message: string): WebhookVerificationError {
  return new WebhookVerificationError(reason, message);
}
