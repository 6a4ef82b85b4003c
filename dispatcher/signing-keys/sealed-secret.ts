import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from "node:crypto";

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ALGORITHM = "aes-256-gcm";

/** Makes the master key, which seals secrets, from 32 random bytes. */
export function createMasterKey(bytes: Uint8Array): KeyObject {
  return createSecretKey(bytes);
}

/**
 * Encrypts a secret with the master key (AES-256-GCM) and binds it to `id`. Returns one version byte, a random nonce
 * of 12 bytes, the tag of 16 bytes, and the ciphertext. Random nonces are safe for 2^32 secrets under one master key.
 */
export function sealSecret(masterKey: KeyObject, id: string, secret: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, masterKey, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(id));
  const text = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), text]);
}

/** Decrypts what `sealSecret` returned for `id`. Throws if the master key, the id or any bit of `sealed` differs. */
export function openSecret(masterKey: KeyObject, id: string, sealed: Uint8Array): Buffer {
  if (sealed[0] !== VERSION)
    throw new Error(`The sealed secret of ${id} must have version ${VERSION}; it has version ${sealed[0]}.`);
  const nonce = sealed.subarray(1, 1 + NONCE_BYTES);
  const tag = sealed.subarray(1 + NONCE_BYTES, 1 + NONCE_BYTES + TAG_BYTES);
  const text = sealed.subarray(1 + NONCE_BYTES + TAG_BYTES);
  const decipher = createDecipheriv(ALGORITHM, masterKey, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(id));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(text), decipher.final()]);
}
