import { createHash, randomBytes } from "node:crypto";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_BYTES = 32;
// 62 ** 43 is the first power above 2 ** 256.
const LENGTH = 43;
/** `ec_live_` or `ec_test_`, and four characters: 24 of the 256 bits. */
const PREFIX_LENGTH = 12;

/** What the keys of a gateway are for: work that counts, or tests on somebody's own machine. */
export type KeyKind = "live" | "test";

/**
 * Creates the secret of an API key: `ec_live_` or `ec_test_`, and 256 random bits in base62. A double click selects all
 * of it.
 */
export function createApiKeySecret(kind: KeyKind): string {
  let rest = BigInt(`0x${randomBytes(RANDOM_BYTES).toString("hex")}`);
  let text = "";
  for (let place = 0; place < LENGTH; place++) {
    text = `${BASE62[Number(rest % 62n)]}${text}`;
    rest /= 62n;
  }
  return `ec_${kind}_${text}`;
}

/** Returns the first characters of a secret, by which people recognize it and which may be shown. */
export function toSecretPrefix(secret: string): string {
  return secret.slice(0, PREFIX_LENGTH);
}

/**
 * Returns the SHA-256 of a secret, which is what the database stores. A slow hash would add nothing: the secret has
 * 256 random bits.
 */
export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
