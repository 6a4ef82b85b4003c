import { DAY_SECONDS, dayOfDate, daysInMonth } from "../../../cron/local-time.ts";

/** A date or a date-time as it is written, without its zone. */
export interface DateValue {
  /** Seconds since 1970 on the clock that it is written for. Of a date, its first second. */
  readonly local: number;
  /** Whether it is a date without a time of day. */
  readonly isDate: boolean;
  /** Whether it ends in Z. */
  readonly isUtc: boolean;
}

const DATE = /^(\d{4})(\d{2})(\d{2})(?:T([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(Z?))?$/;
const DURATION =
  /^\+?P(?=\d|T\d)(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$/;
const OFFSET = /^([+-])(\d{2})([0-5]\d)([0-5]\d)?$/;

/** The accepted forms of a date, in words. */
export const ACCEPTED_DATE = "accepted: 20261225, 20261225T090000 or 20261225T090000Z";

/** Reads a date such as 20261225 or a date-time such as 20261225T090000Z. Undefined if it is none, or does not exist. */
export function parseDate(text: string): DateValue | undefined {
  const match = DATE.exec(text);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((each) => Number(each ?? 0));
  if (year < 1 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  // RFC 5545 3.3.12: who knows no leap seconds reads second 60 as second 59.
  const ofDay = hour * 3600 + minute * 60 + Math.min(second, 59);
  return {
    local: dayOfDate(year, month, day) * DAY_SECONDS + ofDay,
    isDate: match[4] === undefined,
    isUtc: match[7] === "Z",
  };
}

/** Reads a duration such as PT1H30M, in seconds. Undefined if it is none, or negative. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = match
    .slice(1)
    .map((each) => Number(each ?? 0));
  return (weeks * 7 + days) * DAY_SECONDS + hours * 3600 + minutes * 60 + seconds;
}

/** Reads an offset from UTC such as +0530, in seconds. Undefined if it is none. */
export function parseOffset(text: string): number | undefined {
  const match = OFFSET.exec(text);
  if (match === null) return undefined;
  const size = Number(match[2]) * 3600 + Number(match[3]) * 60 + Number(match[4] ?? 0);
  if (size >= DAY_SECONDS) return undefined;
  return match[1] === "-" ? 0 - size : size;
}

/** Splits a list at its commas. Empty items are passed over, such as the one after a comma at the end. */
export function splitList(value: string): string[] {
  return value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}
