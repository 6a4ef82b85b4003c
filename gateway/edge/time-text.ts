const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const DURATION = /^-?\d+(?:\.\d{1,9})?s$/;

/**
 * Returns whether a text is an instant as RFC 3339 writes it, of a day and a time of day that exist. 29 February exists
 * in leap years only; 24:00 and the second 60 do not exist.
 */
export function isInstant(text: string): boolean {
  const [year, month, day, hour, minute, second] = (INSTANT.exec(text) ?? []).slice(1).map(Number);
  if (year === undefined || month === undefined || day === undefined) return false;
  if (hour === undefined || minute === undefined || second === undefined) return false;
  return isDate(year, month, day) && hour < 24 && minute < 60 && second < 60;
}

/** Returns whether a text is a duration as protobuf's JSON writes it: seconds with an "s" at the end. */
export function isDuration(text: string): boolean {
  return DURATION.test(text);
}

/**
 * Returns whether a text looks like an instant or a duration and is none, although protobuf's own reader may accept it:
 * the reader makes 1 March of 29 February 2027, and passes over what comes after the "s" of a duration.
 */
export function isMisreadable(text: string): boolean {
  if (/^\d{4}-\d{2}-\d{2}T/.test(text)) return !isInstant(text);
  return /^-?\d[\d.]*s/.test(text) && !isDuration(text);
}

function isDate(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  // setUTCFullYear takes years below 100 as they are; Date.UTC would not.
  const last = new Date(0);
  last.setUTCFullYear(year, month, 0);
  return day <= last.getUTCDate();
}
