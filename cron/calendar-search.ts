import { type BitArray, createBits, hasBit, keepRotated, nextBit } from "./bit-array.ts";
import { type Calendar, dayNumber, FIRST_DAY, modulo, nextWeekMinute, WEEK_MINUTES } from "./calendar.ts";
import { DAY_SECONDS } from "./local-time.ts";
import { type Span, spanAt } from "./zone-offsets.ts";

/*
 * Finds when several calendars, in any zones, are open at the same time.
 *
 * While no zone changes its offset, the week of each calendar can be moved by its offset to UTC. The intersection of
 * the moved weeks is one common UTC week: 315 words for each calendar. If it is empty, the search goes straight to
 * the next offset change. Otherwise it takes two steps in turn until they agree: to the next open minute of the
 * common week, and to the latest start of the next day that is not excluded, over all calendars that exclude dates.
 * Each round moves on by at least a day. The worst case of ten years with 20 calendars takes 3 ms.
 *
 * Until 1972 some offsets are not whole minutes. Then a UTC minute is divided into parts, and each part has its own
 * week.
 */

/** The open minutes of the UTC week for one part of every minute: from second `start` to before second `end`. */
type Part = Readonly<{ start: number; end: number; week: BitArray }>;

/** A calendar that excludes dates, with its index in the list. */
type Excluding = Readonly<{ days: BitArray; place: number }>;

/**
 * Returns the first second from `from` on and before `end` at which all calendars are open, or null. Both must lie
 * within the years for which offsets are known.
 */
export function nextCommonOpening(calendars: readonly Calendar[], from: number, end: number): number | null {
  const known = new Map<string, readonly Part[] | null>();
  const excluding = calendars.flatMap(({ days }, place) => (days === null ? [] : [{ days, place }]));
  const spans: Span[] = [];
  for (let at = from; at < end; ) {
    let stop = end;
    for (const [place, { zone }] of calendars.entries()) {
      const former = spans[place];
      const span = former !== undefined && at < former.end ? former : spanAt(zone, at);
      spans[place] = span;
      stop = Math.min(stop, span.end);
    }
    const offsets = spans.map(({ offset }) => offset);
    const key = offsets.join();
    const week = known.get(key) ?? commonWeek(calendars, offsets);
    known.set(key, week);
    for (at = nextOfWeek(week, at); at < stop; ) {
      const start = nextOfDays(excluding, offsets, at);
      if (start === at) return at;
      at = nextOfWeek(week, start);
    }
    at = stop;
  }
  return null;
}

/**
 * For each calendar, finds the first second from `at` on whose day is not excluded. Returns the latest of these
 * seconds, or Infinity if a calendar has none.
 */
function nextOfDays(calendars: readonly Excluding[], offsets: readonly number[], at: number): number {
  let latest = at;
  for (const { days, place } of calendars) {
    const offset = offsets[place] ?? 0;
    const today = dayNumber(at + offset);
    if (hasBit(days, today)) continue;
    const day = nextBit(days, today);
    if (day < 0) return Number.POSITIVE_INFINITY;
    latest = Math.max(latest, (day + FIRST_DAY) * DAY_SECONDS - offset);
  }
  return latest;
}

/** The first second from `at` on that is in the week. If the week is null, every second is in it. */
function nextOfWeek(week: readonly Part[] | null, at: number): number {
  if (week === null || at === Number.POSITIVE_INFINITY) return at;
  const minute = Math.floor(at / 60);
  const passed = at - minute * 60;
  let first = Number.POSITIVE_INFINITY;
  for (const part of week) {
    const next = nextWeekMinute(part.week, passed < part.end ? minute : minute + 1);
    first = Math.min(first, Math.max(at, next * 60 + part.start));
  }
  return first;
}

/** The UTC week in which all calendars are in their windows. Null if they always are. */
function commonWeek(calendars: readonly Calendar[], offsets: readonly number[]): readonly Part[] | null {
  if (calendars.every(({ week }) => week === null)) return null;
  const starts = [...new Set([0, ...offsets.map((offset) => modulo(-offset, 60))])].sort((a, b) => a - b);
  return starts.map((start, index) => {
    const minutes = offsets.map((offset) => Math.floor((start + offset) / 60));
    return { start, end: starts[index + 1] ?? 60, week: movedTogether(calendars, minutes) };
  });
}

function movedTogether(calendars: readonly Calendar[], minutes: readonly number[]): BitArray {
  const together = createBits(WEEK_MINUTES).fill(-1);
  for (const [index, { week }] of calendars.entries()) {
    if (week === null) continue;
    if (!keepRotated(together, week, modulo(minutes[index] ?? 0, WEEK_MINUTES))) break;
  }
  return together;
}
