// The times of a burst lie in a few seconds, so a few cached texts save most of the work.
const REMEMBERED = 64;
const seconds = new Map<number, string>();
const FRACTIONS = Array.from({ length: 1_000 }, (_, ms) => `.${String(ms).padStart(3, "0")}Z`);

/**
 * Formats an instant as RFC 3339 in UTC with milliseconds. Throws a RangeError for an instant that a Date cannot
 * hold.
 */
export function toIso(ms: number): string {
  const second = Math.floor(ms / 1_000);
  const fraction = FRACTIONS[ms - second * 1_000];
  const text = seconds.get(second);
  if (text !== undefined && fraction !== undefined) return text + fraction;
  const whole = new Date(ms).toISOString();
  if (seconds.size >= REMEMBERED) seconds.clear();
  seconds.set(second, whole.slice(0, -".000Z".length));
  return whole;
}
