import type { CronFields } from "./cron-fields.ts";

const DAY_MS = 86_400_000;

/** Tells whether a local day (whole days since 1970) matches the day and month fields, which are checked one by one. */
export function walkDayMatches(fields: CronFields, day: number): boolean {
  const date = new Date(day * DAY_MS);
  const [year, month, dayOfMonth] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  if (!has(fields.months, month)) return false;
  const byDate = dateMatches(fields, { year, month, dayOfMonth });
  const byWeekday = weekdayMatches(fields, { year, month, dayOfMonth });
  const both = fields.dayOfMonthRestricted && fields.dayOfWeekRestricted;
  return both
    ? byDate || byWeekday
    : (byDate || !fields.dayOfMonthRestricted) && (byWeekday || !fields.dayOfWeekRestricted);
}

interface LocalDate {
  readonly year: number;
  readonly month: number;
  readonly dayOfMonth: number;
}

function dateMatches(fields: CronFields, date: LocalDate): boolean {
  const { dayOfMonth } = date;
  const length = lengthOf(date);
  if (has(fields.daysOfMonth, dayOfMonth) || has(fields.daysBeforeLast, length - dayOfMonth)) return true;
  if (fields.lastWorkday && nearestWorkday(date, length) === dayOfMonth) return true;
  for (let day = 1; day <= length; day += 1) {
    if (has(fields.nearestWeekdays, day) && nearestWorkday(date, day) === dayOfMonth) return true;
  }
  return false;
}

function weekdayMatches(fields: CronFields, date: LocalDate): boolean {
  const weekday = weekdayOf(date, date.dayOfMonth);
  if (has(fields.daysOfWeek, weekday)) return true;
  if (has(fields.lastDaysOfWeek, weekday) && date.dayOfMonth + 7 > lengthOf(date)) return true;
  const nth = Math.ceil(date.dayOfMonth / 7);
  return fields.nthDaysOfWeek.some(([wanted, which]) => wanted === weekday && which === nth);
}

/** The nearest Monday to Friday in the same month. If two are equally near, the earlier one. */
function nearestWorkday(date: LocalDate, day: number): number {
  const length = lengthOf(date);
  const candidates = [day, day - 1, day + 1, day - 2, day + 2];
  const workdays = candidates.filter(
    (each) => each >= 1 && each <= length && weekdayOf(date, each) % 6 !== 0,
  );
  return workdays[0] ?? 0;
}

function weekdayOf({ year, month }: LocalDate, day: number): number {
  return new Date(Date.UTC(year, month - 1, day)).getUTCDay();
}

function lengthOf({ year, month }: LocalDate): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function has(set: number, value: number): boolean {
  return Math.floor((set >>> 0) / 2 ** value) % 2 === 1;
}
