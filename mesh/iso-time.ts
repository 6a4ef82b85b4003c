// The triggers of a burst share their times: a few remembered texts save most of the work.
const REMEMBERED = 64;
const texts = new Map<number, string>();

/** An instant as RFC 3339 in UTC with milliseconds. Throws RangeError beyond what a Date can hold. */
export function toIso(ms: number): string {
  const known = texts.get(ms);
  if (known !== undefined) return known;
  const text = new Date(ms).toISOString();
  if (texts.size >= REMEMBERED) texts.clear();
  texts.set(ms, text);
  return text;
}
