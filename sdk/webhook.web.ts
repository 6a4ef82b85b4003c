import {
  checkHeaders,
  mismatch,
  readHeaders,
  type SignedHeaders,
  signedBytes,
  signedPrefix,
  toBytes,
  toVerified,
  type VerifiedWebhook,
  type VerifyOptions,
  type WebhookHeaders,
} from "./webhook-request.ts";
import { parseSignatures, type Signatures } from "./webhook-signature.ts";
import { isSignedByAny, isSignedByAnyAsync, toWebKeys, type WebKey } from "./webhook-web.ts";

export type { TriggerFired } from "./trigger-fired.ts";
export { type TriggerIdParts, triggerId } from "./trigger-id.ts";
export { WebhookVerificationError, type WebhookVerificationReason } from "./webhook-error.ts";
export type { VerifiedWebhook, VerifyOptions, WebhookHeaders } from "./webhook-request.ts";

/**
 * Verifies a request like the `verify` of webhook.ts, in a runtime without `node:crypto`. It checks v1 (HMAC-SHA256)
 * only; for a public key `whpk_…` it throws a WebhookVerificationError (ALGORITHM_UNAVAILABLE).
 */
export function verify(
  rawBody: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secrets: string | readonly string[] | undefined,
  options: VerifyOptions = {},
): VerifiedWebhook {
  const { found, content, body, keys, signatures } = read(rawBody, headers, secrets, options);
  if (!isSignedByAny(keys, signatures, content)) throw mismatch();
  return toVerified(found, body);
}

/** Verifies a request like `verify`, by WebCrypto: v1 and v1a. Rejects with a WebhookVerificationError. */
export async function verifyAsync(
  rawBody: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secrets: string | readonly string[] | undefined,
  options: VerifyOptions = {},
): Promise<VerifiedWebhook> {
  const { found, content, body, keys, signatures } = read(rawBody, headers, secrets, options);
  if (!(await isSignedByAnyAsync(keys, signatures, content))) throw mismatch();
  return toVerified(found, body);
}

interface Read {
  readonly found: SignedHeaders;
  /** All that is signed: a copy, so that nobody changes it while WebCrypto works. */
  readonly content: Uint8Array<ArrayBuffer>;
  /** The part of `content` that is the body. */
  readonly body: Uint8Array;
  readonly keys: readonly WebKey[];
  readonly signatures: Signatures;
}

function read(
  rawBody: unknown,
  headers: WebhookHeaders,
  secrets: string | readonly string[] | undefined,
  options: VerifyOptions,
): Read {
  const bytes = toBytes(rawBody);
  const keys = toWebKeys(secrets);
  const found = readHeaders(headers);
  const signatures = parseSignatures(found.signature, keys);
  checkHeaders(found, options);
  const content = signedBytes(signedPrefix(found), bytes);
  const body = content.subarray(content.length - bytes.length);
  return { found, content, body, keys, signatures };
}
