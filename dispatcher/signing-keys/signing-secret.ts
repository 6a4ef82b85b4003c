import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { open, seal } from "./sealed.ts";

/** How a key signs, as the database has it. */
export type Algorithm = "HMAC_SHA256" | "ED25519";

/** Which signing key a secret belongs to. */
export interface SecretOwner {
  readonly projectId: string;
  /** sk_…. */
  readonly id: string;
  readonly algorithm: Algorithm;
}

/** What a new signing key consists of. */
export interface NewSecret {
  /** 32 random bytes: the key of HMAC, or the private key of ed25519 (its seed, RFC 8032, section 5.1.5). */
  readonly bytes: Buffer;
  /** What its owner is shown once: `whsec_` and the bytes in base64. Empty for ed25519, whose private key nobody needs. */
  readonly shown: string;
  /** `whpk_` and the 32 bytes of the public key in base64, which receivers verify with. Null for HMAC. */
  readonly publicKey: string | null;
}

const BYTES = 32;
// DER of an ed25519 private key before its 32 bytes, and of a public key before its 32 bytes (RFC 8410, sections 4, 7).
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_PREFIX_BYTES = 12;

/** Makes the secret of a new signing key. */
export function createSecret(algorithm: Algorithm): NewSecret {
  const bytes = randomBytes(BYTES);
  if (algorithm === "HMAC_SHA256")
    return { bytes, shown: `whsec_${bytes.toString("base64")}`, publicKey: null };
  const der = createPublicKey(toSigner(algorithm, bytes)).export({ format: "der", type: "spki" });
  const publicKey = `whpk_${der.subarray(SPKI_PREFIX_BYTES).toString("base64")}`;
  return { bytes, shown: "", publicKey };
}

/** Turns a secret into the key that signs: of type `secret` for HMAC, and `private` for ed25519. */
export function toSigner(algorithm: Algorithm, bytes: Uint8Array): KeyObject {
  if (algorithm === "HMAC_SHA256") return createSecretKey(bytes);
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, bytes]), format: "der", type: "pkcs8" });
}

/** Seals a secret with the data key of its project, and binds it to its owner. */
export function sealSecret(dataKey: KeyObject, owner: SecretOwner, bytes: Uint8Array): Buffer {
  return seal(dataKey, contextOf(owner), bytes);
}

/** Opens what `sealSecret` returned. Throws if the data key, the owner or any bit of `sealed` differs. */
export function openSecret(dataKey: KeyObject, owner: SecretOwner, sealed: Uint8Array): Buffer {
  return open(dataKey, contextOf(owner), sealed);
}

function contextOf({ projectId, id, algorithm }: SecretOwner): string {
  return `EasyCron signing key\n${projectId}\n${id}\n${algorithm}`;
}
