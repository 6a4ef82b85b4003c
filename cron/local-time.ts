/*
 * Local time as plain numbers. A "local second" is a wall clock's time in seconds since 1970-01-01T00:00:00, computed
 * as if the zone had no offset. A "local day" is the same in whole days. The calendar arithmetic comes from Howard
 * Hinnant's "chrono-compatible low-level date algorithms".
 */

/** Seconds of a day. */
export const DAY_SECONDS = 86_400;

/** Returns the local day of a proleptic Gregorian date; `month` is 1 to 12. */
export function dayOfDate(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = (((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) | 0) + day - 1;
  const dayOfEra = yearOfEra * 365 + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/**
 * Returns the date of a local day in one integer, so that the hot path allocates no object. The year is `packed >>
 * 9`, the month `(packed >> 5) & 15` and the day of the month `packed & 31`.
 */
export function dateOfDay(localDay: number): number {
  const shifted = localDay + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra =
    ((dayOfEra - ((dayOfEra / 1460) | 0) + ((dayOfEra / 36_524) | 0) - ((dayOfEra / 146_096) | 0)) / 365) | 0;
  const dayOfYear = dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0));
  const shiftedMonth = ((5 * dayOfYear + 2) / 153) | 0;
  const day = dayOfYear - (((153 * shiftedMonth + 2) / 5) | 0) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return ((yearOfEra + era * 400 + (month <= 2 ? 1 : 0)) << 9) | (month << 5) | day;
}

/** Returns the number of days in a month; `month` is 1 to 12. */
export function daysInMonth(year: number, month: number): number {
  if (month === 2) return isLeapYear(year) ? 29 : 28;
  return 30 + ((month + (month >> 3)) & 1);
}

/** Tells whether February of this proleptic Gregorian year has 29 days. */
export function isLeapYear(year: number): boolean {
  return (year & 3) === 0 && (year % 100 !== 0 || year % 400 === 0);
}

/** Returns the weekday of a local day; Sunday is 0. */
export function weekdayOf(localDay: number): number {
  return (((localDay + 4) % 7) + 7) % 7;
}

/** Writes a local second as "2027-03-28T02:30:00". */
export function formatLocal(localSecond: number): string {
  const day = Math.floor(localSecond / DAY_SECONDS);
  const rest = localSecond - day * DAY_SECONDS;
  const hour = Math.floor(rest / 3600);
  const minute = Math.floor(rest / 60) % 60;
  return `${formatDate(day)}T${two(hour)}:${two(minute)}:${two(rest % 60)}`;
}

/** Writes a local day as "2027-03-28". */
export function formatDate(localDay: number): string {
  const date = dateOfDay(localDay);
  return `${String(date >> 9).padStart(4, "0")}-${two((date >> 5) & 15)}-${two(date & 31)}`;
}

/** Writes an offset from UTC as "+05:30". Seconds are written only if there are any, as in some historical offsets. */
export function formatOffset(offsetSeconds: number): string {
  const size = Math.abs(offsetSeconds);
  const seconds = size % 60 === 0 ? "" : `:${two(size % 60)}`;
  return `${offsetSeconds < 0 ? "-" : "+"}${two(Math.floor(size / 3600))}:${two(Math.floor(size / 60) % 60)}${seconds}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
