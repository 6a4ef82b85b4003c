import type { CronFields } from "./cron-fields.ts";
import { daysInMonth } from "./local-time.ts";

const SATURDAY = 6;

/**
 * Returns the days of one month on which the day fields match, as bits 1 to 31. The month field is not checked.
 * `firstWeekday` is the weekday of the 1st; Sunday is 0.
 */
export function matchingDays(fields: CronFields, year: number, month: number, firstWeekday: number): number {
  const length = daysInMonth(year, month);
  const all = length === 31 ? -2 : (1 << (length + 1)) - 2;
  if (!fields.dayOfMonthRestricted) {
    return fields.dayOfWeekRestricted ? daysByWeekday(fields, length, firstWeekday) & all : all;
  }
  const byDate = daysByDate(fields, length, firstWeekday) & all;
  return fields.dayOfWeekRestricted ? byDate | (daysByWeekday(fields, length, firstWeekday) & all) : byDate;
}

function daysByDate(fields: CronFields, length: number, firstWeekday: number): number {
  let days = fields.daysOfMonth;
  if (fields.daysBeforeLast !== 0) {
    for (let n = 0; n < length; n += 1) if ((fields.daysBeforeLast >>> n) & 1) days |= 1 << (length - n);
  }
  if (fields.nearestWeekdays !== 0) {
    for (let n = 1; n <= length; n += 1) {
      if ((fields.nearestWeekdays >>> n) & 1) days |= 1 << nearestWorkday(n, length, firstWeekday);
    }
  }
  if (fields.lastWorkday) days |= 1 << nearestWorkday(length, length, firstWeekday);
  return days;
}

/** The nearest Monday to Friday in the same month: if the 1st is a Saturday, 1W is Monday the 3rd. */
function nearestWorkday(day: number, length: number, firstWeekday: number): number {
  const weekday = (firstWeekday + day - 1) % 7;
  if (weekday === SATURDAY) return day === 1 ? 3 : day - 1;
  if (weekday === 0) return day === length ? day - 2 : day + 1;
  return day;
}

function daysByWeekday(fields: CronFields, length: number, firstWeekday: number): number {
  const week = ((fields.daysOfWeek >>> firstWeekday) | (fields.daysOfWeek << (7 - firstWeekday))) & 127;
  let days = (week | (week << 7) | (week << 14) | (week << 21) | (week << 28)) << 1;
  for (const [dayOfWeek, nth] of fields.nthDaysOfWeek) {
    const day = 1 + ((dayOfWeek - firstWeekday + 7) % 7) + (nth - 1) * 7;
    if (day <= length) days |= 1 << day;
  }
  if (fields.lastDaysOfWeek !== 0) {
    for (let day = length - 6; day <= length; day += 1) {
      if ((fields.lastDaysOfWeek >>> ((firstWeekday + day - 1) % 7)) & 1) days |= 1 << day;
    }
  }
  return days;
}
