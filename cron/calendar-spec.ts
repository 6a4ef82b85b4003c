import { addBits, type BitArray, createBits, nextGap } from "./bit-array.ts";
import { type Calendar, WEEK_MINUTES } from "./calendar.ts";
import { findOpenDays } from "./calendar-days.ts";
import { ScheduleError } from "./errors.ts";
import { dayOfDate, daysInMonth } from "./local-time.ts";
import { toOffsets, type Zone } from "./zone-offsets.ts";

/** A calendar as its owner writes it. */
export type CalendarSpec = Readonly<{
  timeZone: Zone;
  windows: ReadonlyArray<WindowSpec>;
  /** "2026-12-25" or "2026-12-24/2027-01-01"; for every year "--05-01" or "--12-24/--01-01". All ends are inclusive. */
  excludedDates: readonly string[];
}>;

/**
 * Weekly hours, such as "09:00" to "17:30". The end is exclusive and may be "24:00"; before the start it is on the
 * next day.
 */
export type WindowSpec = Readonly<{ days: readonly string[]; start: string; end: string }>;

/** How many windows and excluded dates one calendar may have. */
export const MAX_WINDOWS = 100;
export const MAX_EXCLUDED_DATES = 5_000;

const DAY_MINUTES = 1440;
const DAY_NAMES = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];
const DATE_FORM = '"2026-12-25", "2026-12-24/2027-01-01", "--05-01" (every year) or "--12-24/--01-01"';

/**
 * Checks a calendar and compiles it. A calendar without windows is always open, except on the excluded dates.
 * Throws a ScheduleError whose field is a path in the calendar ("windows[0].start", "excludedDates[2]", "timeZone").
 */
export function parseCalendar(spec: CalendarSpec): Calendar {
  const zone = toOffsets(spec.timeZone);
  checkCount("windows", spec.windows.length, MAX_WINDOWS);
  checkCount("excludedDates", spec.excludedDates.length, MAX_EXCLUDED_DATES);
  const week = parseWeek(spec.windows);
  const yearly: boolean[] = Array.from({ length: 366 }, () => false);
  const ranges: [number, number][] = [];
  for (const [index, text] of spec.excludedDates.entries()) {
    const [isYearly, first, last] = parseExcluded(`excludedDates[${index}]`, text);
    if (isYearly) excludeYearly(yearly, first, last);
    else ranges.push([first, last]);
  }
  const days = spec.excludedDates.length === 0 ? null : findOpenDays(week, ranges, yearly);
  return { zone, week, days };
}

/**
 * Returns what is wrong with the windows and the excluded dates of a calendar: an error for each of them that is not
 * valid. `parseCalendar` throws the first of these errors.
 */
export function findCalendarErrors({
  windows,
  excludedDates,
}: Omit<CalendarSpec, "timeZone">): ScheduleError[] {
  const checks = [
    () => checkCount("windows", windows.length, MAX_WINDOWS),
    () => checkCount("excludedDates", excludedDates.length, MAX_EXCLUDED_DATES),
    ...windows.map((window, index) => () => parseWindow(`windows[${index}]`, window)),
    ...excludedDates.map((text, index) => () => parseExcluded(`excludedDates[${index}]`, text)),
  ];
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      if (!(error instanceof ScheduleError)) throw error;
      return [error];
    }
  });
}

function checkCount(field: string, count: number, most: number): void {
  if (count > most) throw new ScheduleError(field, String(count), "is more than allowed", `at most ${most}`);
}

function parseWeek(windows: readonly WindowSpec[]): BitArray | null {
  if (windows.length === 0) return null;
  const week = createBits(WEEK_MINUTES);
  for (const [index, window] of windows.entries()) {
    const { start, length, days } = parseWindow(`windows[${index}]`, window);
    for (const day of days) {
      const from = day * DAY_MINUTES + start;
      addBits(week, from, from + length);
      addBits(week, 0, from + length - WEEK_MINUTES);
    }
  }
  return nextGap(week, 0) < 0 ? null : week;
}

interface WindowMinutes {
  readonly start: number;
  readonly length: number;
  /** Days of the week from Sunday, 0, on. */
  readonly days: readonly number[];
}

function parseWindow(field: string, window: WindowSpec): WindowMinutes {
  const start = parseTime(`${field}.start`, window.start, "23:59");
  const end = parseTime(`${field}.end`, window.end, "24:00");
  if (start === end) {
    throw new ScheduleError(
      `${field}.end`,
      window.end,
      "is equal to start",
      'a different time; a whole day is "00:00" to "24:00"',
    );
  }
  if (window.days.length === 0) {
    throw new ScheduleError(`${field}.days`, "", "is empty", `at least one of ${DAY_NAMES.join(", ")}`);
  }
  const days = window.days.map((day, position) => parseDay(`${field}.days[${position}]`, day));
  return { start, length: end > start ? end - start : end + DAY_MINUTES - start, days };
}

/** Parses an excluded date to its first and its last day; days of the year if it is yearly, else days since 1970. */
function parseExcluded(field: string, text: string): [isYearly: boolean, first: number, last: number] {
  const [first = "", last = first, ...rest] = text.split("/");
  if (rest.length > 0) refuseDate(field, text);
  if (text.startsWith("--")) return [true, parseYearly(field, text, first), parseYearly(field, text, last)];
  return [false, ...parseRange(field, text, first, last)];
}

function parseDay(field: string, text: string): number {
  const day = DAY_NAMES.indexOf(text);
  if (day < 0) throw new ScheduleError(field, text, "is not a day of the week", DAY_NAMES.join(", "));
  return day;
}

function parseTime(field: string, text: string, latest: string): number {
  const match = /^(\d{2}):(\d{2})$/.exec(text);
  const [hour, minute] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || minute > 59 || text > latest) {
    throw new ScheduleError(field, text, "is not a time of day", `00:00 to ${latest}`);
  }
  return hour * 60 + minute;
}

function parseRange(field: string, text: string, first: string, last: string): [number, number] {
  const range: [number, number] = [parseDate(field, text, first), parseDate(field, text, last)];
  if (range[0] > range[1]) throw new ScheduleError(field, text, "ends before it starts", DATE_FORM);
  return range;
}

function parseDate(field: string, text: string, part: string): number {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(part);
  const [year, month, day] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  if (match === null || !isDate(year, month, day)) refuseDate(field, text);
  return dayOfDate(year, month, day);
}

/** Parses "--05-01" to the number of its day in a leap year, from 0 on. */
function parseYearly(field: string, text: string, part: string): number {
  const match = /^--(\d{2})-(\d{2})$/.exec(part);
  const [month, day] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || !isDate(2000, month, day)) refuseDate(field, text);
  return dayOfDate(2000, month, day) - dayOfDate(2000, 1, 1);
}

function excludeYearly(yearly: boolean[], first: number, last: number): void {
  for (let day = first; ; day = (day + 1) % 366) {
    yearly[day] = true;
    if (day === last) return;
  }
}

function isDate(year: number, month: number, day: number): boolean {
  return year >= 1900 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
}

function refuseDate(field: string, text: string): never {
  throw new ScheduleError(field, text, "is not a date or a range of dates", DATE_FORM);
}
