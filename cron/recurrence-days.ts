import { dateOfDay, dayOfDate, daysInMonth, isLeapYear, weekdayOf } from "./local-time.ts";
import type { RecurrenceRule } from "./recurrence-rule.ts";

/** The days of a rule that do not depend on the period, prepared once. */
export interface DayRule {
  readonly months: ReadonlySet<number>;
  readonly weeks: ReadonlySet<number>;
  readonly yearDays: ReadonlySet<number>;
  readonly monthDays: ReadonlySet<number>;
  /** The weekdays of which each one counts. */
  readonly weekdays: ReadonlySet<number>;
  /** The weekdays of which one counts, as `weekday + 7 * ordinal`. */
  readonly ordinals: ReadonlySet<number>;
  /** Whether ordinals count within the month; else they count within the year. */
  readonly ordinalsOfMonth: boolean;
  readonly hasWeekdays: boolean;
  readonly weekStart: number;
}

/**
 * Prepares the day parts of a rule. What the rule leaves open comes from the start, as RFC 5545 says: the weekday of a
 * weekly rule or of a rule with weeks, the day of a monthly rule, and the month and day of a yearly one.
 */
export function prepareDays(rule: RecurrenceRule, startDay: number): DayRule {
  const date = dateOfDay(startDay);
  const isOpen = rule.yearDays.size === 0 && rule.monthDays.size === 0 && rule.weekdays.length === 0;
  const ofYear = rule.frequency === "YEARLY";
  const byWeek = rule.frequency === "WEEKLY" || rule.weeks.size > 0;
  const byMonthDay = !byWeek && (ofYear || rule.frequency === "MONTHLY");
  const weekdays = isOpen && byWeek ? [{ weekday: weekdayOf(startDay), ordinal: 0 }] : rule.weekdays;
  return {
    months: isOpen && ofYear && !byWeek && rule.months.size === 0 ? new Set([(date >> 5) & 15]) : rule.months,
    weeks: rule.weeks,
    yearDays: rule.yearDays,
    monthDays: isOpen && byMonthDay ? new Set([date & 31]) : rule.monthDays,
    weekdays: new Set(weekdays.filter(({ ordinal }) => ordinal === 0).map(({ weekday }) => weekday)),
    ordinals: new Set(
      weekdays.filter(({ ordinal }) => ordinal !== 0).map(({ weekday, ordinal }) => weekday + 7 * ordinal),
    ),
    ordinalsOfMonth: !ofYear || rule.months.size > 0,
    hasWeekdays: weekdays.length > 0,
    weekStart: rule.weekStart,
  };
}

/**
 * Returns the days from `first` to `last` (local days, both inclusive) that have every part of the rule, ascending.
 *
 * RFC 5545 says of each part whether it adds days to a period or leaves some of them out. Both come to the same: the
 * days of a period are the set of its days that fit all parts. `spend` is called with the number of days to look at.
 */
export function daysOfPeriod(
  rule: DayRule,
  first: number,
  last: number,
  spend: (size: number) => void,
): number[] {
  const days: number[] = [];
  for (let day = first; day <= last; ) {
    const date = dateOfDay(day);
    const [year, month] = [date >> 9, (date >> 5) & 15];
    const monthStart = day - (date & 31) + 1;
    spend(1);
    const monthEnd = monthStart + daysInMonth(year, month) - 1;
    if (rule.months.size === 0 || rule.months.has(month)) {
      const end = Math.min(monthEnd, last);
      spend(end - day + 1);
      for (let each = day; each <= end; each++) {
        if (fits(rule, each, { year, monthStart, monthEnd })) days.push(each);
      }
    }
    day = monthEnd + 1;
  }
  return days;
}

interface MonthOfDay {
  readonly year: number;
  readonly monthStart: number;
  readonly monthEnd: number;
}

function fits(rule: DayRule, day: number, at: MonthOfDay): boolean {
  const { monthDays, yearDays, weeks, hasWeekdays } = rule;
  if (monthDays.size > 0 && !hasPlace(monthDays, day, at.monthStart, at.monthEnd)) return false;
  if (hasWeekdays && !fitsWeekday(rule, day, at)) return false;
  if (yearDays.size > 0) {
    const [start, end] = yearOf(at.year);
    if (!hasPlace(yearDays, day, start, end)) return false;
  }
  if (weeks.size > 0) {
    const { first, next } = weekYear(day, at.year, rule.weekStart);
    const week = Math.floor((day - first) / 7) + 1;
    if (!weeks.has(week) && !weeks.has(week - (next - first) / 7 - 1)) return false;
  }
  return true;
}

/** Whether the set has the place of a day in a span of days, counted from its start or from its end. */
function hasPlace(places: ReadonlySet<number>, day: number, start: number, end: number): boolean {
  return places.has(day - start + 1) || places.has(day - end - 1);
}

function fitsWeekday(rule: DayRule, day: number, at: MonthOfDay): boolean {
  const weekday = weekdayOf(day);
  if (rule.weekdays.has(weekday)) return true;
  if (rule.ordinals.size === 0) return false;
  const [start, end] = rule.ordinalsOfMonth ? [at.monthStart, at.monthEnd] : yearOf(at.year);
  const fromStart = Math.floor((day - start) / 7) + 1;
  const fromEnd = -Math.floor((end - day) / 7) - 1;
  return rule.ordinals.has(weekday + 7 * fromStart) || rule.ordinals.has(weekday + 7 * fromEnd);
}

/** Returns the first and the last day of a year. */
function yearOf(year: number): [first: number, last: number] {
  const first = dayOfDate(year, 1, 1);
  return [first, first + (isLeapYear(year) ? 365 : 364)];
}

/** Returns the first day of the year of weeks that has this day, and the first day of the next one. */
function weekYear(day: number, year: number, weekStart: number): { first: number; next: number } {
  const own = firstWeek(year, weekStart);
  if (day < own) return { first: firstWeek(year - 1, weekStart), next: own };
  const next = firstWeek(year + 1, weekStart);
  return day < next ? { first: own, next } : { first: next, next: firstWeek(year + 2, weekStart) };
}

/** Returns the first day of week 1: the week that has 4 January, so that at least four of its days are in the year. */
function firstWeek(year: number, weekStart: number): number {
  const fourth = dayOfDate(year, 1, 4);
  return fourth - ((weekdayOf(fourth) - weekStart + 7) % 7);
}
