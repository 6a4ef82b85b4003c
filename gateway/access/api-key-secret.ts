import { createHash, randomBytes } from "node:crypto";

const BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_BYTES = 32;
// 62 ** 43 is the first power above 2 ** 256.
const LENGTH = 43;

/** Makes the secret of an API key: `ec_live_` and 256 random bits in base62, which a double click selects whole. */
export function createApiKeySecret(): string {
  let rest = BigInt(`0x${randomBytes(RANDOM_BYTES).toString("hex")}`);
  let text = "";
  for (let place = 0; place < LENGTH; place++) {
    text = `${BASE62[Number(rest % 62n)]}${text}`;
    rest /= 62n;
  }
  return `ec_live_${text}`;
}

/** What is kept of a secret: its SHA-256. With 256 random bits there is nothing that a slow hash would protect. */
export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
