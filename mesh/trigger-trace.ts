import { hash } from "node:crypto";

const CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz";
const INVALID = 255;
const VALUES = new Uint8Array(128).fill(INVALID);
for (const [value, character] of [...CROCKFORD].entries()) VALUES[character.charCodeAt(0)] = value;
const PREFIX = "trg_";
const ID_LENGTH = 30;
const bytes = Buffer.alloc(16);

/**
 * Returns the id of the trace of a trigger: 32 hex digits. They are the 16 bytes that the trigger's id writes in base32,
 * the first 16 of a SHA-256. So anyone can compute it, a process that takes over a trigger joins its trace, and the trace
 * id is as evenly spread as samplers need. For a text that is no trigger id, the first 16 bytes of its SHA-256 count.
 */
export function traceIdOf(triggerId: string): string {
  const traceId = toHex(triggerId) ?? hash("sha256", triggerId).slice(0, 32);
  // W3C Trace Context forbids this one id.
  return traceId === ZERO ? `${ZERO.slice(1)}1` : traceId;
}

/** The parts of a trigger's trace whose span id must be known to several processes. */
export type TracePart = "trigger" | "hand-over" | `attempt ${number}`;

/**
 * Returns the id of the span of one part of a trigger's trace: the first 8 bytes of the SHA-256 over
 * `easycron.span.v1\n<trigger id>\n<part>`, as 16 hex digits. A span may so have a parent that another process has made,
 * or that was lost with it.
 */
export function spanIdOf(triggerId: string, part: TracePart): string {
  return hash("sha256", `easycron.span.v1\n${triggerId}\n${part}`).slice(0, 16);
}

const ZERO = "0".repeat(32);

/** Returns undefined for a text that is no trigger id. */
function toHex(triggerId: string): string | undefined {
  if (triggerId.length !== ID_LENGTH || !triggerId.startsWith(PREFIX)) return undefined;
  let held = 0;
  let bits = 0;
  let filled = 0;
  // The 26 characters hold 130 bits, of which the last two are 0.
  for (let at = PREFIX.length; at < ID_LENGTH; at++) {
    const value = VALUES[triggerId.charCodeAt(at)] ?? INVALID;
    if (value === INVALID) return undefined;
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[filled++] = held >> bits;
    }
  }
  return bytes.toString("hex");
}
