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
  const digest = hash("sha256", `easycron.trigger.v1\n${jobUid}\n${fireTime}${manual}`, "buffer");
  return `trg_${toBase32(digest.subarray(0, 16))}`;
}

function toBase32(bytes: Uint8Array): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += CROCKFORD[(held >> bits) & 31];
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + CROCKFORD[(held << (5 - bits)) & 31];
}
