import { DAY_SECONDS, dateOfDay, weekdayOf } from "./local-time.ts";
import { FIRST_SECOND, knownSecond, LAST_SECOND, skipTo, spanAt, type ZoneOffsets } from "./zone-offsets.ts";

/** Seconds in a civil week. */
export const WEEK_SECONDS = 7 * DAY_SECONDS;

/**
 * When something is open: a rule on the local date and time of one zone; made by `parseCalendar`.
 *
 * Every instant is judged by its wall clock alone: a date is excluded from its first to its last instant, even for a
 * window that began the evening before, and a window within a repeated hour is open twice.
 */
export type Calendar = Readonly<{
  zone: ZoneOffsets;
  /**
   * The open parts of a week as ascending seconds from Sunday 00:00, opening and closing in turn, merged.
   * Null if there are no windows, which means always.
   */
  week: readonly number[] | null;
  /** Excluded local days, first and last, ascending and merged. */
  excludedRanges: ReadonlyArray<readonly [firstDay: number, lastDay: number]>;
  /**
   * For dates excluded every year, at `month * 32 + day`: how many days in a row, this one included, are so at least.
   * Zero for other dates; null if there are none.
   */
  excludedYearly: readonly number[] | null;
}>;

/** Tells whether the calendar is open at an instant (epoch ms); before 1900 and after 2400 as at the nearest end. */
export function isOpen(calendar: Calendar, atMs: number): boolean {
  const second = knownSecond(atMs);
  return isOpenLocal(calendar, second + spanAt(calendar.zone, second).offset);
}

/**
 * Returns the first instant later than `atMs` from which `isOpen` is no longer what it is at `atMs`, or null if that
 * does not come before the end of 2400. Exact across offset changes, which may open or close a calendar themselves.
 */
export function nextChange(calendar: Calendar, atMs: number): number | null {
  const open = isOpen(calendar, atMs);
  let from = knownSecond(atMs);
  while (from <= LAST_SECOND) {
    const span = spanAt(calendar.zone, from);
    const local = from + span.offset;
    if (isOpenLocal(calendar, local) !== open) return from * 1000;
    const change = nextLocalChange(calendar, local);
    if (change === Number.POSITIVE_INFINITY) return null;
    if (change - span.offset < span.end) return (change - span.offset) * 1000;
    from = skipTo(span, local, change);
  }
  return null;
}

/** Returns the first instant from `atMs` on at which the calendar is open, or null if there is none before 2401. */
export function nextOpening(calendar: Calendar, atMs: number): number | null {
  return isOpen(calendar, atMs) ? atMs : nextChange(calendar, atMs);
}

/** Tells whether the calendar is closed from `fromMs` (or 1900) to the end of 2400. */
export function neverOpens(calendar: Calendar, fromMs: number = FIRST_SECOND * 1000): boolean {
  return nextOpening(calendar, fromMs) === null;
}

/** Returns the next instant strictly later than `afterMs` at which the calendar opens or closes, or null. */
export function nextEdge(calendar: Calendar, edge: "OPENS" | "CLOSES", afterMs: number): number | null {
  const change = nextChange(calendar, afterMs);
  if (change === null || isOpen(calendar, change) === (edge === "OPENS")) return change;
  return nextChange(calendar, change);
}

function isOpenLocal(calendar: Calendar, local: number): boolean {
  const day = Math.floor(local / DAY_SECONDS);
  return isInWeek(calendar, local, day) && !isExcluded(calendar, day);
}

function isInWeek(calendar: Calendar, local: number, day: number): boolean {
  if (calendar.week === null) return true;
  const second = weekdayOf(day) * DAY_SECONDS + (local - day * DAY_SECONDS);
  // An odd number of edges passed: the last one opened.
  return (countUpTo(calendar.week, second) & 1) === 1;
}

function isExcluded(calendar: Calendar, day: number): boolean {
  if (yearlyRun(calendar, day) > 0) return true;
  const range = calendar.excludedRanges[rangeFrom(calendar, day)];
  return range !== undefined && range[0] <= day;
}

/** The days in a row from this one on that are excluded every year; a date's low nine bits are its month and day. */
function yearlyRun(calendar: Calendar, day: number): number {
  return calendar.excludedYearly?.[dateOfDay(day) & 511] ?? 0;
}

/** The index of the first excluded range that ends on or after a day. */
function rangeFrom(calendar: Calendar, day: number): number {
  let low = 0;
  let high = calendar.excludedRanges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((calendar.excludedRanges[middle]?.[1] ?? 0) < day) low = middle + 1;
    else high = middle;
  }
  return low;
}

function countUpTo(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Returns the first local second after `local` at which the wall clock opens or closes the calendar, or Infinity. */
function nextLocalChange(calendar: Calendar, local: number): number {
  const open = isOpenLocal(calendar, local);
  let at = local;
  while (at <= LAST_SECOND) {
    at = nextCandidate(calendar, at);
    if (at !== Number.POSITIVE_INFINITY && isOpenLocal(calendar, at) !== open) return at;
  }
  return Number.POSITIVE_INFINITY;
}

/** A later local second before which nothing changes: an edge of the week, or the turn of an excluded day. */
function nextCandidate(calendar: Calendar, local: number): number {
  const day = Math.floor(local / DAY_SECONDS);
  const range = calendar.excludedRanges[rangeFrom(calendar, day)];
  if (range !== undefined && range[0] <= day) return (range[1] + 1) * DAY_SECONDS;
  const midnight = (day + Math.max(1, yearlyRun(calendar, day))) * DAY_SECONDS;
  if (midnight > (day + 1) * DAY_SECONDS) return midnight;
  const turn =
    calendar.excludedYearly === null ? (range?.[0] ?? Number.POSITIVE_INFINITY) * DAY_SECONDS : midnight;
  if (calendar.week === null || calendar.week.length === 0) return turn;
  const second = weekdayOf(day) * DAY_SECONDS + (local - day * DAY_SECONDS);
  const first = calendar.week[0] ?? 0;
  const edge = calendar.week[countUpTo(calendar.week, second)] ?? first + WEEK_SECONDS;
  return Math.min(turn, local + edge - second);
}
