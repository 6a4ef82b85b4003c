import { createCipheriv, randomBytes } from "node:crypto";
import type { MasterKey } from "../signing-keys/master-keys.ts";

/** Seals the secret of a signing key as earlier versions did: with the master key itself, bound to the key's id. */
export function oldFormatOf({ key }: MasterKey, id: string, secret: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 });
  cipher.setAAD(Buffer.from(id));
  const text = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([Buffer.of(1), nonce, cipher.getAuthTag(), text]);
}
