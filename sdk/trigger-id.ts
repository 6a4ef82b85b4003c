import { toDate } from "./instant.ts";
import { sha256 } from "./sha256.ts";

const CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz";

/** The values from which a trigger's id is computed. */
export interface TriggerIdParts {
  /** The job's uid, job_…. */
  readonly jobUid: string;
  /** The nominal time. For a manual run, when it was requested. A string is RFC 3339, as in a webhook. */
  readonly nominalTime: Date | string;
  /** The request id of RunJob, for a manual run. */
  readonly requestId?: string | undefined;
}

/**
 * Computes the id of a trigger: `trg_` and 26 characters. The id depends on these values only, so anyone can compute
 * the id that a fire time has, or will have. Throws a RangeError for an invalid time, and for one that does not exist.
 *
 * @example
 * ```ts
 * const id = triggerId({
 *   jobUid: "job_01jd3k8z5me9t8r7q6p5n4m3k2",
 *   nominalTime: "2026-03-01T09:00:00.000Z",
 * });
 * ```
 */
export function triggerId({ jobUid, nominalTime, requestId }: TriggerIdParts): string {
  const fireTime = toDate(nominalTime).toISOString();
  const manual = requestId === undefined ? "" : `\nmanual\n${requestId}`;
  const digest = sha256(new TextEncoder().encode(`easycron.trigger.v1\n${jobUid}\n${fireTime}${manual}`));
  return `trg_${toBase32(digest.subarray(0, 16))}`;
}

// Base32 as in RFC 4648, section 6, in Crockford's alphabet: the first bits come first, and the last character is
// filled up with zero bits.
function toBase32(bytes: Uint8Array): string {
  let text = "";
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += CROCKFORD.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + CROCKFORD.charAt((held << (5 - bits)) & 31);
}
