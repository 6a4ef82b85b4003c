import { type TriggerFired, toTriggerFired } from "./trigger-fired.ts";
import { refusal, type WebhookVerificationError } from "./webhook-error.ts";

/** The request's headers: a plain object (Node's `request.headers`, Express, Lambda) or a `Headers`. */
export type WebhookHeaders =
  | { readonly [name: string]: string | readonly string[] | undefined }
  | { get(name: string): string | null };

/** Options of `verify` and `verifyAsync`. */
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

/** The three headers of a webhook, as received. */
export interface SignedHeaders {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
}

// The length of an id is checked beside the form, because a form with a number of repetitions takes longer.
const ID = /^[\w-]+$/;
const TIMESTAMP = /^\d{1,12}$/;
const encoder = /*@__PURE__*/ new TextEncoder();
const decoder = /*@__PURE__*/ new TextDecoder("utf-8", { fatal: true });

/** Returns the bytes of a body. Throws a WebhookVerificationError (BODY_NOT_RAW) for a body that was parsed. */
export function toBytes(rawBody: unknown): Uint8Array {
  if (typeof rawBody === "string") return encoder.encode(rawBody);
  if (rawBody instanceof Uint8Array) return rawBody;
  if (ArrayBuffer.isView(rawBody)) {
    return new Uint8Array(rawBody.buffer, rawBody.byteOffset, rawBody.byteLength);
  }
  if (isBuffer(rawBody)) return new Uint8Array(rawBody);
  throw refusal(
    "BODY_NOT_RAW",
    `The body is ${rawBody === null ? "null" : typeof rawBody}; it must be the raw text or bytes, before parsing.`,
  );
}

// Not by `instanceof`: a test runner may run the receiver in a context with an ArrayBuffer of its own.
function isBuffer(value: unknown): value is ArrayBuffer {
  return /^\[object (Shared)?ArrayBuffer\]$/.test(Object.prototype.toString.call(value));
}

/** Reads the headers of a webhook. Throws a WebhookVerificationError (HEADER_MISSING). */
export function readHeaders(given: WebhookHeaders): SignedHeaders {
  // Plain JavaScript may give none.
  const headers = given ?? {};
  const found = isGettable(headers)
    ? {
        id: headers.get("webhook-id") ?? "",
        timestamp: headers.get("webhook-timestamp") ?? "",
        signature: headers.get("webhook-signature") ?? "",
      }
    : findHeaders(headers);
  if (found.id === "") throw missing("webhook-id");
  if (found.timestamp === "") throw missing("webhook-timestamp");
  if (found.signature === "") throw missing("webhook-signature");
  return found;
}

function missing(name: string): WebhookVerificationError {
  return refusal("HEADER_MISSING", `The header ${name} is missing.`);
}

function isGettable(headers: WebhookHeaders): headers is { get(name: string): string | null } {
  return typeof headers.get === "function";
}

// One pass over all names, because the case of a name is free. Several values of a header become one text. Only
// webhook-signature may have several; the other checks refuse such a text.
function findHeaders(headers: { readonly [name: string]: unknown }) {
  const found = { id: "", timestamp: "", signature: "" };
  for (const key of Object.keys(headers)) {
    if (isName(key, "webhook-id")) found.id = append(found.id, headers[key]);
    else if (isName(key, "webhook-timestamp")) found.timestamp = append(found.timestamp, headers[key]);
    else if (isName(key, "webhook-signature")) found.signature = append(found.signature, headers[key]);
  }
  return found;
}

// Few names need toLowerCase(), which takes most of the time: Node gives names in lower case.
function isName(key: string, name: string): boolean {
  return key === name || (key.length === name.length && key.toLowerCase() === name);
}

function append(before: string, value: unknown): string {
  if (before === "" && typeof value === "string") return value;
  const values: unknown[] = before === "" ? [] : [before];
  return values
    .concat(value ?? [])
    .map(String)
    .join(" ");
}

/**
 * Checks the form of the id, and that the timestamp is within the tolerance. Throws a WebhookVerificationError, or a
 * RangeError for options that cannot be used.
 */
export function checkHeaders({ id, timestamp }: SignedHeaders, options: VerifyOptions): void {
  // A dot in the id could move the border between id and timestamp, and the signature would still match.
  if (id.length > 128 || !ID.test(id))
    throw refusal("ID_MALFORMED", "The header webhook-id must be 1 to 128 of A-Z a-z 0-9 _ -.");
  if (!TIMESTAMP.test(timestamp)) {
    throw refusal("TIMESTAMP_MALFORMED", "The header webhook-timestamp must be whole seconds since 1970.");
  }
  const { toleranceSeconds = 300, now } = options;
  const nowSeconds = Math.floor((now === undefined ? Date.now() : now().getTime()) / 1_000);
  // NaN would count as within the tolerance.
  if (!(toleranceSeconds >= 0) || Number.isNaN(nowSeconds)) {
    throw new RangeError("toleranceSeconds must be a number from 0 upwards, and now() a valid date.");
  }
  const ageSeconds = nowSeconds - Number(timestamp);
  if (Math.abs(ageSeconds) <= toleranceSeconds) return;
  const apart = `The webhook was sent ${Math.abs(ageSeconds)} s, more than ${toleranceSeconds} s,`;
  if (ageSeconds > 0) throw refusal("TIMESTAMP_TOO_OLD", `${apart} ago.`);
  throw refusal("TIMESTAMP_TOO_NEW", `${apart} ahead of this machine's clock.`);
}

/** Returns the text that precedes the body in what is signed. */
export function signedPrefix({ id, timestamp }: SignedHeaders): string {
  return `${id}.${timestamp}.`;
}

/** Returns all that is signed, in one array: the prefix and the body. */
export function signedBytes(prefix: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const start = encoder.encode(prefix);
  const all = new Uint8Array(start.length + body.length);
  all.set(start);
  all.set(body, start.length);
  return all;
}

/** Makes the error for a request that no secret has signed. */
export function mismatch(): Error {
  return refusal(
    "SIGNATURE_MISMATCH",
    "No signature matches this id, timestamp and body with any of the given secrets; check the secret.",
  );
}

/** Makes the result of a verification from a request whose signature is right. */
export function toVerified({ id, timestamp }: SignedHeaders, body: Uint8Array): VerifiedWebhook {
  const parsed = parseJson(body);
  return {
    id,
    timestamp: new Date(Number(timestamp) * 1_000),
    trigger: toTriggerFired(parsed),
    body: parsed,
  };
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(body));
  } catch {
    return undefined;
  }
}
