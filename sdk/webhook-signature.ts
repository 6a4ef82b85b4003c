import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { WebhookVerificationError } from "./webhook-error.ts";

const MAX_SIGNATURES = 16;
const MAX_HEADER_LENGTH = 4_096;
const MAX_SECRETS = 16;
const MAX_SECRET_LENGTH = 512;
const MAX_CACHED_KEYS = 256;

// 32 bytes in base64, in the canonical form only: the last character carries four bits, so its other two bits are
// zero.
const V1 = /^v1,([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Parses the v1 signatures of a `webhook-signature` header. Ignores those of other versions. */
export function parseSignatures(header: string): Buffer[] {
  if (header.length > MAX_HEADER_LENGTH) {
    throw malformedSignature(`has ${header.length} characters; at most ${MAX_HEADER_LENGTH} are read`);
  }
  const tokens = header.split(" ").filter((token) => token !== "");
  if (tokens.length > MAX_SIGNATURES) {
    throw malformedSignature(`holds ${tokens.length} signatures; at most ${MAX_SIGNATURES} are read`);
  }
  const signatures = tokens.flatMap((token) => V1.exec(token)?.[1] ?? []);
  if (signatures.length === 0)
    throw malformedSignature('holds no signature of the form "v1,<base64 of 32 bytes>"');
  return signatures.map((text) => Buffer.from(text, "base64"));
}

function malformedSignature(problem: string): WebhookVerificationError {
  return new WebhookVerificationError("SIGNATURE_MALFORMED", `The header webhook-signature ${problem}.`);
}

/** Turns secrets into keys. A secret is base64, usually with the prefix `whsec_`. */
export function toKeys(secrets: string | readonly string[] | undefined): KeyObject[] {
  const list: readonly unknown[] = Array.isArray(secrets) ? secrets : [secrets];
  if (list.length === 0 || list.length > MAX_SECRETS) {
    throw malformedSecret(`${list.length} secrets were given; 1 to ${MAX_SECRETS} are needed.`);
  }
  return list.map(toKey);
}

// Creating the KeyObject only once saves a quarter of the time of a verification.
const keys = new Map<string, KeyObject>();

function toKey(secret: unknown): KeyObject {
  if (typeof secret !== "string") throw malformedSecret(`A secret is ${typeof secret}; it must be a string.`);
  const known = keys.get(secret);
  if (known !== undefined) return known;
  const text = secret.startsWith("whsec_") ? secret.slice("whsec_".length) : secret;
  const bytes = Buffer.from(text, "base64");
  if (secret.length > MAX_SECRET_LENGTH || !BASE64.test(text) || bytes.length === 0) {
    throw malformedSecret(
      'A secret must be "whsec_" and base64, without white space or line break around it.',
    );
  }
  const key = createSecretKey(bytes);
  const [oldest] = keys.keys();
  if (keys.size >= MAX_CACHED_KEYS && oldest !== undefined) keys.delete(oldest);
  keys.set(secret, key);
  return key;
}

function malformedSecret(message: string): WebhookVerificationError {
  return new WebhookVerificationError("SECRET_MALFORMED", message);
}

/** The signed parts of a request, as received. */
export interface Signed {
  readonly id: string;
  readonly timestamp: string;
  readonly body: Uint8Array;
}

/**
 * Returns whether one of the signatures was made with one of the keys. The time this takes does not depend on where
 * they differ.
 */
export function isSignedByAny(
  signed: Signed,
  signatures: readonly Buffer[],
  by: readonly KeyObject[],
): boolean {
  let found = false;
  for (const key of by) {
    const hmac = createHmac("sha256", key).update(`${signed.id}.${signed.timestamp}.`).update(signed.body);
    const digest = hmac.digest();
    for (const signature of signatures) found = timingSafeEqual(digest, signature) || found;
  }
  return found;
}
