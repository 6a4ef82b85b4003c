import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from "node:crypto";

const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** What `seal` returns begins with this byte. */
const VERSION = 2;
/** What earlier versions made begins with this one: a secret that the master key itself seals. */
const OLD_VERSION = 1;

/**
 * Encrypts bytes with a key of 32 bytes (AES-256-GCM) and binds them to `context`, which says what they are: they can be
 * opened with the same context only. Returns one version byte, a random nonce of 12 bytes, the tag of 16 bytes, and the
 * ciphertext. Random nonces are safe for 2^32 calls with one key (NIST SP 800-38D, section 8.3).
 */
export function seal(key: KeyObject, context: string, bytes: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context));
  const text = Buffer.concat([cipher.update(bytes), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), text]);
}

/** Decrypts what `seal` returned. Throws if the key, the context or any bit of `sealed` differs. */
export function open(key: KeyObject, context: string, sealed: Uint8Array): Buffer {
  return openVersion(VERSION, key, context, sealed);
}

/** Whether an earlier version sealed this secret with the master key itself. */
export function isOldFormat(sealed: Uint8Array): boolean {
  return sealed[0] === OLD_VERSION;
}

/** Decrypts the secret of the signing key `id` that an earlier version has sealed with the master key. Throws like `open`. */
export function openOldFormat(masterKey: KeyObject, id: string, sealed: Uint8Array): Buffer {
  return openVersion(OLD_VERSION, masterKey, id, sealed);
}

function openVersion(version: number, key: KeyObject, context: string, sealed: Uint8Array): Buffer {
  if (sealed[0] !== version) {
    throw new Error(`A sealed value of version ${version} is needed; this one has version ${sealed[0]}.`);
  }
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
  const text = sealed.subarray(1 + NONCE_BYTES + TAG_BYTES);
  // Without authTagLength, Node accepts a tag of 4 bytes.
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(text), decipher.final()]);
}
