// The triggers of a burst have the same times, so a few cached texts save most of the work.
const REMEMBERED = 64;
const texts = new Map<number, string>();

/**
 * Formats an instant as RFC 3339 in UTC with milliseconds. Throws a RangeError for an instant that a Date cannot
 * hold.
 */
export function toIso(ms: number): string {
  const known = texts.get(ms);
  if (known !== undefined) return known;
  const text = new Date(ms).toISOString();
  if (texts.size >= REMEMBERED) texts.clear();
  texts.set(ms, text);
  return text;
}
