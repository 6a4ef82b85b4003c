import { randomFillSync } from "node:crypto";

const CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz";
const RANDOM_BYTES = 10;

// One call of the random generator serves 400 ids. An id takes 0.6 µs this way; with typeid-js it takes 6 µs.
const pool = Buffer.alloc(RANDOM_BYTES * 400);
let used = pool.length;
const bytes = Buffer.alloc(16);

/**
 * Returns a new attempt id: `att_` and a UUIDv7 of `nowMs` in the base32 encoding of TypeID
 * (https://github.com/jetify-com/typeid).
 */
export function newAttemptId(nowMs: number): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  bytes.writeUIntBE(nowMs, 0, 6);
  pool.copy(bytes, 6, used, used + RANDOM_BYTES);
  used += RANDOM_BYTES;
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return `att_${toBase32(bytes)}`;
}

const LENGTH = 26;
const codes = Buffer.from(CROCKFORD, "latin1");
const written = Buffer.alloc(LENGTH);

/**
 * Returns 16 bytes in the base32 encoding of TypeID: 26 characters. They are written to one buffer, because a text that
 * grows by each character left 750 bytes of garbage for an id.
 */
export function toBase32(source: Uint8Array): string {
  let place = 0;
  let held = 0;
  // 26 characters of 5 bits hold 130 bits, and 16 bytes have 128. So the first character begins with two zero bits.
  let bits = 2;
  for (let index = 0; index < source.length; index++) {
    held = ((held << 8) | (source[index] ?? 0)) & 0x1fff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      written[place++] = codes[(held >> bits) & 31] ?? 0;
    }
  }
  return written.toString("latin1", 0, LENGTH);
}
