import { sha256 } from "./sha256.ts";
import { refusal } from "./webhook-error.ts";
import { createKeys } from "./webhook-secret.ts";
import type { Signatures } from "./webhook-signature.ts";

/** A key that needs no module of Node. */
export interface WebKey {
  readonly version: "v1" | "v1a";
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const BLOCK = 64;

/** Turns secrets into keys. Throws a WebhookVerificationError (SECRET_MALFORMED). */
export const toWebKeys = /*@__PURE__*/ createKeys(
  ({ version, base64 }): WebKey => ({ version, bytes: fromBase64(base64) }),
);

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  // atob refuses padding that is not complete.
  return Uint8Array.from(atob(text.replace(/^v1,|=+$/g, "")), (character) => character.charCodeAt(0));
}

/**
 * Returns whether one of the signatures of the content was made with one of the keys, without WebCrypto, which cannot answer at once.
 * The time this takes does not depend on where they differ. Throws a WebhookVerificationError (ALGORITHM_UNAVAILABLE)
 * for a public key.
 */
export function isSignedByAny(keys: readonly WebKey[], signatures: Signatures, content: Uint8Array): boolean {
  let found = false;
  for (const { version, bytes } of keys) {
    if (version === "v1a") {
      throw refusal("ALGORITHM_UNAVAILABLE", "verify cannot check ed25519 here; use verifyAsync.");
    }
    const digest = hmac(bytes, content);
    for (const signature of signatures.v1) found = isEqual(digest, fromBase64(signature)) || found;
  }
  return found;
}

/** HMAC-SHA256 (RFC 2104). */
export function hmac(key: Uint8Array, content: Uint8Array): Uint8Array {
  const short = key.length > BLOCK ? sha256(key) : key;
  const block = (pad: number, rest: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(BLOCK + rest.length).fill(pad, 0, BLOCK);
    for (const [index, byte] of short.entries()) bytes[index] = byte ^ pad;
    bytes.set(rest, BLOCK);
    return bytes;
  };
  return sha256(block(0x5c, sha256(block(0x36, content))));
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0);
  return difference === 0;
}

/** The part of WebCrypto that is used. The types of a project may not have it. */
interface Subtle {
  importKey(
    format: "raw",
    bytes: Uint8Array,
    algorithm: object,
    extractable: boolean,
    uses: ["verify"],
  ): Promise<unknown>;
  verify(algorithm: string, key: unknown, signature: Uint8Array, content: Uint8Array): Promise<boolean>;
}

const ALGORITHMS = {
  v1: { name: "HMAC", hash: "SHA-256" },
  v1a: { name: "Ed25519" },
};

/**
 * Returns whether one of the signatures of the content was made with one of the keys, by WebCrypto. Throws a WebhookVerificationError
 * (ALGORITHM_UNAVAILABLE) if the runtime has no WebCrypto, or none with the algorithm.
 */
export async function isSignedByAnyAsync(
  keys: readonly WebKey[],
  signatures: Signatures,
  content: Uint8Array,
): Promise<boolean> {
  let found = false;
  for (const { version, bytes } of keys) {
    if (signatures[version].length === 0) continue;
    const { name } = ALGORITHMS[version];
    const subtle = subtleCrypto(name);
    const key = await importKey(subtle, version, bytes);
    for (const text of signatures[version]) {
      found = (await subtle.verify(name, key, fromBase64(text), content)) || found;
    }
  }
  return found;
}

async function importKey(subtle: Subtle, version: "v1" | "v1a", bytes: Uint8Array): Promise<unknown> {
  try {
    return await subtle.importKey("raw", bytes, ALGORITHMS[version], false, ["verify"]);
  } catch (error) {
    if (error instanceof Error && error.name === "NotSupportedError") {
      throw unavailable(ALGORITHMS[version].name);
    }
    throw error;
  }
}

function subtleCrypto(algorithm: string): Subtle {
  // Browsers have it on pages with TLS only.
  const { crypto } = globalThis as { crypto?: { subtle?: unknown } };
  if (crypto?.subtle === undefined) throw unavailable(algorithm);
  return crypto.subtle as Subtle;
}

function unavailable(algorithm: string): Error {
  return refusal(
    "ALGORITHM_UNAVAILABLE",
    `This runtime has no WebCrypto with ${algorithm}; update it, or verify in Node.`,
  );
}
