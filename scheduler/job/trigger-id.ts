import { createHash } from "node:crypto";

const CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * The id of the trigger of one fire time: `trg_` and the first 16 bytes of a SHA-256 in lower-case Crockford base32
 * without padding, first bits first (RFC 4648, section 6, with Crockford's alphabet). Anyone who knows the job's uid
 * and the nominal time can compute it; it depends on nothing else, so two schedulers that race name the same trigger.
 * A manual run adds its request id.
 */
export function triggerId(jobUid: string, nominalTimeMs: number, manualRequestId?: string): string {
  const fireTime = new Date(nominalTimeMs).toISOString();
  const manual = manualRequestId === undefined ? "" : `\nmanual\n${manualRequestId}`;
  const digest = createHash("sha256").update(`easycron.trigger.v1\n${jobUid}\n${fireTime}${manual}`).digest();
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
