import { type Calendar, WEEK_SECONDS } from "./calendar.ts";
import { ScheduleError } from "./errors.ts";
import { DAY_SECONDS, dayOfDate, daysInMonth } from "./local-time.ts";
import { toOffsets, type Zone } from "./zone-offsets.ts";

/** A calendar as its owner writes it. */
export type CalendarSpec = Readonly<{
  timeZone: Zone;
  windows: ReadonlyArray<WindowSpec>;
  /** "2026-12-25", "2026-12-24/2027-01-01", and every year "--05-01", "--12-24/--01-01"; all inclusive. */
  excludedDates: readonly string[];
}>;

/** Weekly hours: "09:00" to "17:30" (exclusive, "24:00" allowed); an end before the start is on the next day. */
export type WindowSpec = Readonly<{ days: readonly string[]; start: string; end: string }>;

/** The most windows and excluded dates of one calendar. */
export const MAX_WINDOWS = 100;
export const MAX_EXCLUDED_DATES = 5_000;

const DAY_NAMES = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];
const DATE_FORM = '"2026-12-25", "2026-12-24/2027-01-01", "--05-01" (every year) or "--12-24/--01-01"';

/**
 * Checks a calendar and prepares it. Without windows it is always open but for the excluded dates.
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
    const field = `excludedDates[${index}]`;
    const [first = "", last = first, ...rest] = text.split("/");
    if (rest.length > 0) refuseDate(field, text);
    if (text.startsWith("--"))
      excludeYearly(yearly, parseYearly(field, text, first), parseYearly(field, text, last));
    else ranges.push(parseRange(field, text, first, last));
  }
  if (yearly.filter(Boolean).length === 366)
    return { zone, week: [], excludedRanges: [], excludedYearly: null };
  const excludedYearly = yearly.includes(true) ? countRuns(yearly) : null;
  return { zone, week, excludedRanges: mergeRanges(ranges), excludedYearly };
}

function checkCount(field: string, count: number, most: number): void {
  if (count > most) throw new ScheduleError(field, String(count), "is too many", `at most ${most}`);
}

function parseWeek(windows: readonly WindowSpec[]): readonly number[] | null {
  if (windows.length === 0) return null;
  const parts: [number, number][] = [];
  for (const [index, window] of windows.entries()) {
    const field = `windows[${index}]`;
    const start = parseTime(`${field}.start`, window.start, "23:59");
    const end = parseTime(`${field}.end`, window.end, "24:00");
    if (start === end) {
      throw new ScheduleError(
        `${field}.end`,
        window.end,
        "is the start too",
        'another time; "24:00" ends a whole day',
      );
    }
    if (window.days.length === 0) {
      throw new ScheduleError(`${field}.days`, "", "is empty", `at least one of ${DAY_NAMES.join(", ")}`);
    }
    const length = end > start ? end - start : end + DAY_SECONDS - start;
    for (const [position, day] of window.days.entries()) {
      const from = parseDay(`${field}.days[${position}]`, day) * DAY_SECONDS + start;
      parts.push([from, Math.min(from + length, WEEK_SECONDS)]);
      if (from + length > WEEK_SECONDS) parts.push([0, from + length - WEEK_SECONDS]);
    }
  }
  const merged = mergeParts(parts);
  return merged.length === 2 && merged[0] === 0 && merged[1] === WEEK_SECONDS ? null : merged;
}

function mergeParts(parts: [number, number][]): number[] {
  const edges: number[] = [];
  for (const [start, end] of parts.sort((a, b) => a[0] - b[0])) {
    const last = edges.at(-1);
    if (last !== undefined && start <= last) edges[edges.length - 1] = Math.max(last, end);
    else edges.push(start, end);
  }
  return edges;
}

function mergeRanges(ranges: [number, number][]): [number, number][] {
  const merged: [number, number][] = [];
  for (const [first, last] of ranges.sort((a, b) => a[0] - b[0])) {
    const previous = merged.at(-1);
    if (previous !== undefined && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last);
    else merged.push([first, last]);
  }
  return merged;
}

function parseDay(field: string, text: string): number {
  const day = DAY_NAMES.indexOf(text);
  if (day < 0) throw new ScheduleError(field, text, "is not a day", DAY_NAMES.join(", "));
  return day;
}

function parseTime(field: string, text: string, latest: string): number {
  const match = /^(\d{2}):(\d{2})$/.exec(text);
  const [hour, minute] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || minute > 59 || text > latest) {
    throw new ScheduleError(field, text, "is not a time of day", `00:00 to ${latest}`);
  }
  return hour * 3600 + minute * 60;
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

/** Parses "--05-01" to its day of the leap year 2000. */
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

const FEBRUARY_29 = 59;

/** Turns the excluded days of a leap year into the run lengths that Calendar describes, in any year. */
function countRuns(yearly: readonly boolean[]): number[] {
  const runs = Array.from({ length: 512 }, () => 0);
  for (let day = 0; day < 366; day += 1) {
    let run = 0;
    while (yearly[(day + run) % 366] === true) run += 1;
    if (run === 0) continue;
    const passesLeapDay = (FEBRUARY_29 - day + 366) % 366 < run && day !== FEBRUARY_29;
    const date = new Date(Date.UTC(2000, 0, 1 + day));
    // Most years have no 29 February, so a run that passes it is a day shorter in them.
    runs[(date.getUTCMonth() + 1) * 32 + date.getUTCDate()] = passesLeapDay ? Math.max(1, run - 1) : run;
  }
  return runs;
}

function isDate(year: number, month: number, day: number): boolean {
  return year >= 1900 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
}

function refuseDate(field: string, text: string): never {
  throw new ScheduleError(field, text, "is not a date or range", DATE_FORM);
}
