// The triggers of a burst, and the fire times of one second, share all but the milliseconds. A few cached seconds save
// most of the work.
const REMEMBERED = 64;
const seconds = new Map<number, string>();
const LAST_SECOND = 8_640_000_000_000;
const MILLISECONDS = Array.from({ length: 1_000 }, (_, ms) => `${String(ms).padStart(3, "0")}Z`);

/**
 * Formats an instant as RFC 3339 in UTC with milliseconds; a part of a millisecond is cut off. Throws a RangeError for
 * an instant that a Date cannot hold.
 */
export function toIso(ms: number): string {
  const second = Math.floor(ms / 1_000);
  const end = MILLISECONDS[ms - second * 1_000];
  const known = seconds.get(second);
  if (known !== undefined && end !== undefined) return known + end;
  const text = new Date(ms).toISOString();
  // A Date cuts a part of a millisecond off towards 1970, and ends at the beginning of its last second.
  if (end === undefined || second === LAST_SECOND) return text;
  if (seconds.size >= REMEMBERED) seconds.clear();
  seconds.set(second, text.slice(0, -4));
  return text;
}
