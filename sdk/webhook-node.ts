import * as crypto from "node:crypto";
import { createKeys, type Secret } from "./webhook-secret.ts";
import type { Signatures } from "./webhook-signature.ts";

/** A key of HMAC-SHA256, with the two blocks that begin its two hashes (RFC 2104, section 2). */
interface SharedKey {
  readonly version: "v1";
  readonly object: crypto.KeyObject;
  /** The key combined with 0x36. */
  readonly inner: Buffer;
  /** The key combined with 0x5c, and room for the 32 bytes of the inner hash. */
  readonly outer: Buffer;
}

/** A key of ed25519. */
interface PublicKey {
  readonly version: "v1a";
  readonly object: crypto.KeyObject;
}

/** A key that `isSignedByAny` checks signatures with. */
export type NodeKey = SharedKey | PublicKey;

const BLOCK = 64;
// Longer content is hashed piece by piece. Copying it would cost more than the shorter way saves.
const MAX_COPIED = 16_384;
// DER of SubjectPublicKeyInfo before the 32 bytes of an ed25519 key (RFC 8410, section 4).
const SPKI_PREFIX = "302a300506032b6570032100";

/** Turns secrets into keys. Throws a WebhookVerificationError (SECRET_MALFORMED). */
export const toNodeKeys = /*@__PURE__*/ createKeys(makeKey);

function makeKey({ version, base64 }: Secret): NodeKey {
  const bytes = Buffer.from(base64, "base64");
  if (version === "v1a") {
    const der = Buffer.concat([Buffer.from(SPKI_PREFIX, "hex"), bytes]);
    return { version, object: crypto.createPublicKey({ key: der, format: "der", type: "spki" }) };
  }
  const short = bytes.length > BLOCK ? crypto.createHash("sha256").update(bytes).digest() : bytes;
  const inner = Buffer.alloc(BLOCK, 0x36);
  const outer = Buffer.alloc(BLOCK + 32, 0x5c);
  for (const [index, byte] of short.entries()) {
    inner[index] = byte ^ 0x36;
    outer[index] = byte ^ 0x5c;
  }
  return { version, object: crypto.createSecretKey(bytes), inner, outer };
}

// Room that every verification uses again. Nothing else runs between its writing and its reading.
let content: Buffer | undefined;
// The key whose inner block begins the content. Most receivers have one key.
let contentKey: SharedKey | undefined;
// "v1," and 44 characters of base64, as in the header: to cut a text makes its copying slow.
const expected = /*@__PURE__*/ Buffer.from("v1,".padEnd(47));
const given = /*@__PURE__*/ Buffer.alloc(47);

/**
 * Returns HMAC-SHA256 in base64. One-shot hashes of Node (from 20.12) take half the time of an Hmac object, of which
 * most is the creation of the object.
 */
export function hmacBase64(key: SharedKey, prefix: string, body: Uint8Array): string {
  const length = BLOCK + prefix.length + body.length;
  if (length > MAX_COPIED || crypto.hash === undefined) {
    return crypto.createHmac("sha256", key.object).update(prefix).update(body).digest("base64");
  }
  content ??= Buffer.alloc(MAX_COPIED);
  if (contentKey !== key) content.set(key.inner);
  contentKey = key;
  content.write(prefix, BLOCK, "latin1");
  content.set(body, BLOCK + prefix.length);
  key.outer.write(crypto.hash("sha256", content.subarray(0, length), "binary"), BLOCK, "latin1");
  return crypto.hash("sha256", key.outer, "base64");
}

/**
 * Returns whether one of the signatures was made with one of the keys. For HMAC, the time this takes does not depend on
 * where they differ.
 */
export function isSignedByAny(
  keys: readonly NodeKey[],
  signatures: Signatures,
  prefix: string,
  body: Uint8Array,
): boolean {
  let found = false;
  for (const key of keys) {
    if (key.version === "v1") {
      expected.write(hmacBase64(key, prefix, body), "v1,".length, "latin1");
      for (const signature of signatures.v1) {
        given.write(signature, "latin1");
        found = crypto.timingSafeEqual(expected, given) || found;
      }
    } else if (signatures.v1a.length > 0) {
      found = isSignedBy(key, signatures.v1a, Buffer.concat([Buffer.from(prefix), body])) || found;
    }
  }
  return found;
}

/** Returns whether one of the ed25519 signatures of some bytes was made with this key (RFC 8032). */
export function isSignedBy(key: PublicKey, signatures: readonly string[], bytes: Uint8Array): boolean {
  return signatures.some((text) => crypto.verify(null, bytes, key.object, Buffer.from(text, "base64")));
}
