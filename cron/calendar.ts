import { type BitArray, hasBit, nextBit, nextGap } from "./bit-array.ts";
import { DAY_SECONDS } from "./local-time.ts";
import { FIRST_SECOND, knownSecond, LAST_SECOND, skipTo, spanAt, type ZoneOffsets } from "./zone-offsets.ts";

/** Minutes of a week. */
export const WEEK_MINUTES = 7 * 1440;
/**
 * The first local day that a calendar knows, and how many days it knows: the years 1900 to 2400 and a week on each
 * side.
 */
export const FIRST_DAY = Math.floor(FIRST_SECOND / DAY_SECONDS) - 7;
export const DAY_COUNT = Math.ceil(LAST_SECOND / DAY_SECONDS) + 7 - FIRST_DAY;

// 1 January 1970 was a Thursday.
const EPOCH_MINUTE = 4 * 1440;

/**
 * Says when something is open, by the local date and time of one zone. `parseCalendar` makes it.
 *
 * Only the wall clock of an instant counts. So an excluded date is closed from its first to its last instant, also
 * for a window that began the evening before. A window within a repeated hour is open twice.
 *
 * Both parts are bit sets (24 KiB at most), so that a question takes the same time for any number of windows and
 * dates.
 */
export type Calendar = Readonly<{
  zone: ZoneOffsets;
  /** The open minutes of a week, from Sunday 00:00 on. Null if all minutes are open. */
  week: BitArray | null;
  /** The local days, counted from FIRST_DAY, that have a window and are not excluded. Null if no date is excluded. */
  days: BitArray | null;
}>;

/**
 * Tells whether the calendar is open at an instant (epoch ms). Before 1900 and after 2400 the nearest known instant
 * counts.
 */
export function isOpen(calendar: Calendar, atMs: number): boolean {
  const second = knownSecond(atMs);
  return isOpenLocal(calendar, second + spanAt(calendar.zone, second).offset);
}

/**
 * Returns the first instant later than `atMs` at which the calendar changes from open to closed or back, or null if
 * there is none before the end of 2400. Exact across offset changes, which can open or close a calendar themselves.
 */
export function nextChange(calendar: Calendar, atMs: number): number | null {
  const open = isOpen(calendar, atMs);
  let from = knownSecond(atMs);
  while (from <= LAST_SECOND) {
    const span = spanAt(calendar.zone, from);
    const local = from + span.offset;
    if (isOpenLocal(calendar, local) !== open) return from * 1000;
    const change = open ? nextLocalClosing(calendar, local) : nextLocalOpening(calendar, local);
    if (change === Number.POSITIVE_INFINITY) return null;
    if (change - span.offset < span.end) return (change - span.offset) * 1000;
    from = skipTo(span, local, change);
  }
  return null;
}

/** Tells whether the calendar is closed from `fromMs` (or 1900) to the end of 2400. */
export function neverOpens(calendar: Calendar, fromMs: number = FIRST_SECOND * 1000): boolean {
  return !isOpen(calendar, fromMs) && nextChange(calendar, fromMs) === null;
}

/** Returns the next instant strictly later than `afterMs` at which the calendar opens or closes, or null. */
export function nextEdge(calendar: Calendar, edge: "OPENS" | "CLOSES", afterMs: number): number | null {
  const change = nextChange(calendar, afterMs);
  if (change === null || isOpen(calendar, change) === (edge === "OPENS")) return change;
  return nextChange(calendar, change);
}

/** The number of a local second's day in `Calendar.days`. */
export function dayNumber(local: number): number {
  return Math.floor(local / DAY_SECONDS) - FIRST_DAY;
}

/** Returns the first open minute (minutes since 1970) from `minute` on if every week is like this one, or Infinity. */
export function nextWeekMinute(week: BitArray, minute: number): number {
  const place = modulo(minute + EPOCH_MINUTE, WEEK_MINUTES);
  const next = nextBit(week, place);
  if (next >= 0) return minute + next - place;
  const first = nextBit(week, 0);
  return first < 0 ? Number.POSITIVE_INFINITY : minute + WEEK_MINUTES + first - place;
}

/** Returns the remainder of a division; it is never negative. */
export function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

function isOpenLocal({ week, days }: Calendar, local: number): boolean {
  if (days !== null && !hasBit(days, dayNumber(local))) return false;
  return week === null || hasBit(week, modulo(Math.floor(local / 60) + EPOCH_MINUTE, WEEK_MINUTES));
}

/** Returns the first local second after `local`, which is closed, at which the wall clock is open, or Infinity. */
function nextLocalOpening({ week, days }: Calendar, local: number): number {
  let at = local;
  // Runs at most three times: for today, for the next open day, and for its first window.
  for (;;) {
    const today = dayNumber(at);
    const day = days === null ? today : nextBit(days, today);
    if (day < 0) return Number.POSITIVE_INFINITY;
    if (day > today) at = (day + FIRST_DAY) * DAY_SECONDS;
    if (week === null) return at;
    const minute = nextWeekMinute(week, Math.floor(at / 60));
    if (minute === Number.POSITIVE_INFINITY) return minute;
    at = Math.max(at, minute * 60);
    if (dayNumber(at) === day) return at;
  }
}

/** Returns the first local second after `local`, which is open, at which the wall clock is closed, or Infinity. */
function nextLocalClosing({ week, days }: Calendar, local: number): number {
  const day = days === null ? -1 : nextGap(days, dayNumber(local));
  const turn = day < 0 ? Number.POSITIVE_INFINITY : (day + FIRST_DAY) * DAY_SECONDS;
  if (week === null) return turn;
  const minute = Math.floor(local / 60);
  const place = modulo(minute + EPOCH_MINUTE, WEEK_MINUTES);
  const next = nextGap(week, place);
  const edge = next >= 0 ? next : WEEK_MINUTES + nextGap(week, 0);
  return Math.min(turn, (minute + edge - place) * 60);
}
