const INSTANT = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d{1,3})?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * Reads an instant: a Date, or a text as RFC 3339 writes it, with at most milliseconds. Throws a RangeError for an
 * invalid Date, for another text, and for a day or a time of day that does not exist.
 * `new Date("2027-02-29T09:00:00Z")` would be 1 March.
 */
export function toDate(time: Date | string): Date {
  const date = new Date(time);
  if (Number.isNaN(date.getTime()) || (typeof time === "string" && !isInstant(time))) {
    throw new RangeError(
      `${JSON.stringify(time)} is not an instant that exists, in whole milliseconds; write it as 2027-01-01T09:00:00Z.`,
    );
  }
  return date;
}

/** Returns whether a text is an instant in whole milliseconds, as RFC 3339 writes it, of a day and a time that exist. */
export function isInstant(text: string): boolean {
  const parts = INSTANT.exec(text);
  if (parts === null) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  // A date that does not exist, such as 29 February 2027, becomes another one here.
  const local = new Date(0);
  local.setUTCFullYear(year, month - 1, day);
  local.setUTCHours(hour, minute, second);
  return local.toISOString().slice(0, 19) === text.slice(0, 19);
}
