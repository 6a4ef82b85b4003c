import { DAY_SECONDS } from "../../../cron/local-time.ts";
import { fitsStart, recurrencesOf } from "../../../cron/recurrence.ts";
import type { RecurrenceRule } from "../../../cron/recurrence-rule.ts";
import { zoneOffsets } from "../../../cron/zone-offsets.ts";
import type { CalendarEvent, Occurrence } from "./event.ts";
import { type Clocks, instantOf, timeOfDay } from "./moments.ts";
import type { WrittenRule } from "./rule.ts";
import { alignTo, lastSecondOf, type Series } from "./series.ts";

/** Which occurrences to return. */
export interface OccurrenceRange {
  readonly clocks: Clocks;
  /** The first and last day that are wanted, in days since 1970. A few occurrences outside of them are returned as well. */
  readonly firstDay: number;
  readonly lastDay: number;
  /** Is called with the size of each piece of work. It may throw, to end the work. */
  readonly spend: (steps: number) => void;
}

/** Clocks differ by less than two days. */
const ZONE_DAYS = 2;

/**
 * Yields the occurrences of a series: its start, those that its rules give, and those that RDATE names, without those
 * that EXDATE excludes. An overridden occurrence counts at the time to which it was moved, also if the series has no such
 * occurrence.
 */
export function* occurrencesOf(series: Series, range: OccurrenceRange): Generator<Occurrence> {
  const { main, overrides } = series;
  const excluded = new Set(main.excluded.map((each) => alignTo(main.start, each, range.clocks)));
  const excludedDays = new Set(main.excluded.filter(({ isDate }) => isDate).map(({ local }) => local));
  const isExcluded = (local: number) => excluded.has(local) || excludedDays.has(local - timeOfDay(local));
  const shifts = shiftsOf(series);
  const seen = new Set<number>();
  for (const local of startsOf(main, widened(range, main, shifts))) {
    range.spend(1 + shifts.length);
    if (seen.has(local)) continue;
    seen.add(local);
    if (isExcluded(local)) continue;
    const own = overrides.get(local);
    if (own === undefined) yield* occurrenceAt(main, local, shifts);
    else yield* own.filter(({ isCancelled }) => !isCancelled);
  }
  for (const period of main.periods) {
    if (!isExcluded(alignTo(main.start, period.start, range.clocks))) yield period;
  }
  for (const [local, moved] of overrides) {
    if (!seen.has(local) && !isExcluded(local)) yield* moved.filter(({ isCancelled }) => !isCancelled);
  }
}

/** A change of an occurrence that also changes the later ones. */
interface Shift {
  /** The local second of the occurrence. */
  readonly from: number;
  readonly event: CalendarEvent;
  /** By how many seconds later an occurrence starts. */
  readonly bySeconds: number;
}

function shiftsOf({ main, overrides }: Series): Shift[] {
  const shifts: Shift[] = [];
  for (const [from, events] of overrides) {
    for (const event of events) {
      if (!event.andFuture || event.overrides === undefined) continue;
      const { start } = event;
      // Both are dates, or both are times on the clock on which the new start is written.
      const old = start.isDate || main.start.isDate ? from : localOn(event, from, main);
      shifts.push({ from, event, bySeconds: start.local - old });
    }
  }
  return shifts.sort((a, b) => a.from - b.from);
}

/** Returns a local second of the main event on the clock of an overriding event. */
function localOn(event: CalendarEvent, local: number, main: CalendarEvent): number {
  return alignTo(
    event.start,
    { ...main.start, local },
    { calendar: event.start.zone, only: () => undefined },
  );
}

function widened(range: OccurrenceRange, main: CalendarEvent, shifts: readonly Shift[]): OccurrenceRange {
  const days = (seconds: number) => Math.ceil(seconds / DAY_SECONDS);
  const length = Math.max(0, ...[main, ...shifts.map(({ event }) => event)].map(secondsOf));
  const shift = Math.max(0, ...shifts.map(({ bySeconds }) => Math.abs(bySeconds)));
  return {
    ...range,
    firstDay: range.firstDay - ZONE_DAYS - days(length) - days(shift),
    lastDay: range.lastDay + ZONE_DAYS + days(shift),
  };
}

/** Yields the local seconds at which the occurrences of an event would start, if none were moved or excluded. */
function* startsOf(event: CalendarEvent, range: OccurrenceRange): Generator<number> {
  const { start, rules, dates } = event;
  const written = rules.map((each) => ruleFor(event, each, range.clocks));
  if (written.length === 0 || written.some(({ until }) => until >= start.local)) yield start.local;
  for (const rule of written) {
    // RFC 5545 counts the start as the first occurrence, also if the rule does not fit it.
    const count = rule.count - (fitsStart(rule, start.local) ? 0 : 1);
    yield* recurrencesOf({ ...rule, count }, start.local, {
      fromDay: range.firstDay,
      lastDay: range.lastDay,
      spend: range.spend,
    });
  }
  for (const date of dates) yield alignTo(start, date, range.clocks);
}

/** Returns the rule of an event with its end. RFC 5545: a rule of dates ignores its times of day. */
function ruleFor({ start }: CalendarEvent, { rule, until }: WrittenRule, clocks: Clocks): RecurrenceRule {
  if (until === undefined) return start.isDate ? { ...rule, ...NO_TIMES } : rule;
  const zone = until.isUtc ? zoneOffsets("UTC") : start.zone;
  const last = lastSecondOf(start, { ...until, zone }, clocks);
  return { ...rule, ...(start.isDate ? NO_TIMES : {}), until: last };
}

const NO_TIMES = { hours: new Set<number>(), minutes: new Set<number>(), seconds: new Set<number>() };

/** Yields the occurrence of an event at a local second, changed as the last shift before it says. */
function* occurrenceAt(main: CalendarEvent, local: number, shifts: readonly Shift[]): Generator<Occurrence> {
  const shift = shifts.findLast(({ from }) => from < local);
  if (shift === undefined) {
    yield local === main.start.local ? main : at(main, local);
  } else if (!shift.event.isCancelled) {
    const { event, bySeconds } = shift;
    const old = event.start.isDate || main.start.isDate ? local : localOn(event, local, main);
    yield at(event, old + bySeconds);
  }
}

/** Returns an event as if it started at another local second of its own clock. */
function at(event: CalendarEvent, local: number): Occurrence {
  const start = { ...event.start, local };
  return { start, end: { ...start, local: local + secondsOf(event) } };
}

/** Returns how long an event lasts, in seconds on its clock. */
function secondsOf({ start, end }: CalendarEvent): number {
  const onOneClock = start.isDate || end.isDate || start.zone === end.zone;
  return onOneClock ? end.local - start.local : instantOf(end) - instantOf(start);
}
