import { hash } from "node:crypto";
import { toIso } from "../../mesh/iso-time.ts";

const CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * Returns the id of the trigger of one fire time: `trg_` and the first 16 bytes of a SHA-256 in lower-case Crockford
 * base32 without padding, most significant bits first (RFC 4648, section 6, with Crockford's alphabet). It depends only
 * on the job's uid and the nominal time, and for a manual run on its request id. So two schedulers that decide the same
 * fire time give its trigger the same id, and customers can compute it too.
 */
export function triggerId(jobUid: string, nominalTimeMs: number, manualRequestId?: string): string {
  const fireTime = toIso(nominalTimeMs);
  const manual = manualRequestId === undefined ? "" : `\nmanual\n${manualRequestId}`;
  // The text of a hash takes 0.4 µs, and its bytes 1.1 µs, because a Buffer is slow to make.
  return `trg_${toBase32(hash("sha256", `easycron.trigger.v1\n${jobUid}\n${fireTime}${manual}`, "hex"))}`;
}

const HEX_DIGITS = 32;
const [DIGIT_0, LETTER_A] = [48, 97];

/** Writes the first 16 bytes of a hash, which is given as lower-case hex digits. */
function toBase32(hex: string): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (let at = 0; at < HEX_DIGITS; at++) {
    const code = hex.charCodeAt(at);
    held = ((held << 4) | (code < LETTER_A ? code - DIGIT_0 : code - LETTER_A + 10)) & 0xff;
    bits += 4;
    if (bits < 5) continue;
    bits -= 5;
    text += CROCKFORD[(held >> bits) & 31];
  }
  return bits === 0 ? text : text + CROCKFORD[(held << (5 - bits)) & 31];
}
