import { isSignedByAny, toNodeKeys } from "./webhook-node.ts";
import {
  checkHeaders,
  mismatch,
  readHeaders,
  signedPrefix,
  toBytes,
  toVerified,
  type VerifiedWebhook,
  type VerifyOptions,
  type WebhookHeaders,
} from "./webhook-request.ts";
import { parseSignatures } from "./webhook-signature.ts";

export type { TriggerFired } from "./trigger-fired.ts";
export { type TriggerIdParts, triggerId } from "./trigger-id.ts";
export { WebhookVerificationError, type WebhookVerificationReason } from "./webhook-error.ts";
export type { VerifiedWebhook, VerifyOptions, WebhookHeaders } from "./webhook-request.ts";

/**
 * Verifies a request that any sender signed according to the Standard Webhooks specification: version v1 (HMAC-SHA256,
 * secrets `whsec_…`) or v1a (ed25519, public keys `whpk_…`). `rawBody` is the body as received, before any parsing;
 * bytes are best, because a text may have been decoded wrongly. With several secrets, a signature made with any of
 * them is enough. Throws a WebhookVerificationError.
 *
 * Runtimes without `node:crypto` get the same function from `webhook.web.ts`.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const headers = {
 *   "webhook-id": "msg_1",
 *   "webhook-timestamp": "1772355600",
 *   "webhook-signature": "v1,FBQ3gwxFo1ID4BPMZEwa8AtF3Xngdl1hv0t7YGtSIfk=",
 * };
 * const now = () => new Date("2026-03-01T09:00:00Z"); // for this example only
 * const { id, body } = verify('{"type":"invoice.paid"}', headers, secret, { now });
 * console.log(id, body);
 * ```
 */
export function verify(
  rawBody: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secrets: string | readonly string[] | undefined,
  options: VerifyOptions = {},
): VerifiedWebhook {
  const body = toBytes(rawBody);
  const keys = toNodeKeys(secrets);
  const found = readHeaders(headers);
  const signatures = parseSignatures(found.signature, keys);
  checkHeaders(found, options);
  if (!isSignedByAny(keys, signatures, signedPrefix(found), body)) throw mismatch();
  return toVerified(found, body);
}

/**
 * Verifies like `verify`, and resolves with its result. Use it in code for Workers and browsers too: there it also
 * checks ed25519, which WebCrypto does asynchronously only. Rejects with a WebhookVerificationError.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const headers = {
 *   "webhook-id": "msg_1",
 *   "webhook-timestamp": "1772355600",
 *   "webhook-signature": "v1,FBQ3gwxFo1ID4BPMZEwa8AtF3Xngdl1hv0t7YGtSIfk=",
 * };
 * const now = () => new Date("2026-03-01T09:00:00Z"); // for this example only
 * const { id, body } = await verifyAsync('{"type":"invoice.paid"}', headers, secret, { now });
 * console.log(id, body);
 * ```
 */
export async function verifyAsync(
  rawBody: string | Uint8Array | ArrayBuffer,
  headers: WebhookHeaders,
  secrets: string | readonly string[] | undefined,
  options: VerifyOptions = {},
): Promise<VerifiedWebhook> {
  return verify(rawBody, headers, secrets, options);
}
