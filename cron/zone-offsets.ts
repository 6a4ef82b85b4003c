import { DAY_SECONDS, dayOfDate, isLeapYear, weekdayOf } from "./local-time.ts";
import { canonicalZone } from "./zone.ts";

/*
 * Where a zone's offset from UTC changes, found by asking Intl.DateTimeFormat, a year at a time and only when asked.
 *
 * A year is probed every few days, and each change found is pinned to the second by bisection: 0.1 ms in all. The
 * shortest time that a zone has kept an offset since 1900 is seven days, and since 2005 it is 21. From 2100 on no zone
 * has rules of its own for single years, so all years of one shape (leap or not, weekday of 1 January) share the
 * changes of the first such year.
 */

/** A stretch of time during which one zone keeps one offset; all numbers are seconds. */
export type Span = Readonly<{
  /** First second (UTC) of the span. */
  start: number;
  /** First second (UTC) after the span. */
  end: number;
  /** What to add to UTC to get local time. */
  offset: number;
  /** The offset just before `start`; the same as `offset` where only the year ends. */
  offsetBefore: number;
  /** The offset from `end` on. */
  offsetAfter: number;
}>;

/** First and last calendar year (UTC) of which offsets are known. */
export const FIRST_YEAR = 1900;
export const LAST_YEAR = 2400;

const FIRST_REPEATING_YEAR = 2100;
const PROBE_SECONDS = 6 * DAY_SECONDS;
const FIRST_CALM_YEAR = 2005;
const CALM_PROBE_SECONDS = 15 * DAY_SECONDS;
const QUARTER_SECONDS = 900;
/** The most years remembered for one zone; with all of the zones at their most that is 30 MiB. */
const MAX_REMEMBERED_YEARS = 100;
const MARGIN_SECONDS = 2 * DAY_SECONDS;

/** What is added to UTC at an instant (epoch seconds) to get local time, in seconds. */
type OffsetReader = (second: number) => number;

/** One zone's spans, computed on demand and kept. */
export type ZoneOffsets = {
  readonly name: string;
  readonly read: OffsetReader;
  readonly years: Map<number, readonly Span[]>;
  /** The changes of repeating years by shape, relative to the start of the year. */
  readonly shapes: (readonly Span[] | undefined)[];
  /** The span answered last: most questions are about the present. */
  latest: Span;
};

/** One entry for each zone asked for; canonicalZone bounds them to some 600. */
const offsetsByZone = new Map<string, ZoneOffsets>();

/** Gives the offsets of zones by their names. Throws a ScheduleError of field "timeZone" for an unknown one. */
export type ZoneSource = (zone: string) => ZoneOffsets;

/** A zone: its offsets, or its name, which means its offsets as `Intl` has them. */
export type Zone = string | ZoneOffsets;

/** Returns the offsets of a zone. Throws a ScheduleError of field "timeZone" for an unknown name. */
export function toOffsets(zone: Zone): ZoneOffsets {
  return typeof zone === "string" ? zoneOffsets(zone) : zone;
}

/**
 * Returns the offsets of a zone as this process's `Intl` has them. Throws a ScheduleError of field "timeZone" for an
 * unknown one.
 */
export function zoneOffsets(zone: string): ZoneOffsets {
  const existing = offsetsByZone.get(zone);
  if (existing !== undefined) return existing;
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone: canonicalZone(zone),
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const offsets = createZoneOffsets(zone, (second) => readOffset(clock, second));
  offsetsByZone.set(zone, offsets);
  return offsets;
}

/**
 * Makes the offsets of a zone from any source of them that keeps each for seven days at least, as zones have done since
 * 1900, and from 2005 on for 21.
 */
export function createZoneOffsets(name: string, read: OffsetReader): ZoneOffsets {
  const nowhere: Span = { start: 0, end: 0, offset: 0, offsetBefore: 0, offsetAfter: 0 };
  return { name, read, years: new Map(), shapes: [], latest: nowhere };
}

/** Returns the span that contains a second of the years FIRST_YEAR to LAST_YEAR (UTC). Throws RangeError outside. */
export function spanAt(offsets: ZoneOffsets, second: number): Span {
  const { latest } = offsets;
  if (second >= latest.start && second < latest.end) return latest;
  const year = new Date(second * 1000).getUTCFullYear();
  if (!(year >= FIRST_YEAR && year <= LAST_YEAR))
    throw new RangeError(`No zone offsets at second ${second}.`);
  for (const span of spansOfYear(offsets, year)) {
    if (second < span.end) {
      offsets.latest = span;
      return span;
    }
  }
  throw new RangeError(`No zone offset at second ${second}.`);
}

/**
 * Returns where a search goes on (UTC) when nothing happens in local time from `local`, in `span`, until `event`.
 *
 * That is the next span, or, if `local` is not so near the end of this one that the next may repeat it, two days before
 * the event (no zone's offsets lie further apart), so that the years between are never computed.
 */
export function skipTo(span: Span, local: number, event: number): number {
  const farFromEnd = span.end + span.offset - local > 2 * DAY_SECONDS;
  return farFromEnd ? Math.max(span.end, event - span.offset - 2 * DAY_SECONDS) : span.end;
}

/** Returns the offset of a zone from UTC at an instant, in seconds; instants out of range take the nearest known. */
export function offsetAt(zone: Zone, atMs: number): number {
  return spanAt(toOffsets(zone), knownSecond(atMs)).offset;
}

/** Returns the second of an instant, or the nearest one for which offsets are known. */
export function knownSecond(atMs: number): number {
  return Math.min(Math.max(Math.floor(atMs / 1000), FIRST_SECOND), LAST_SECOND);
}

/** The first and last second for which offsets are known. */
export const FIRST_SECOND = dayOfDate(FIRST_YEAR, 1, 1) * DAY_SECONDS;
export const LAST_SECOND = dayOfDate(LAST_YEAR + 1, 1, 1) * DAY_SECONDS - 1;

function spansOfYear(offsets: ZoneOffsets, year: number): readonly Span[] {
  if (year >= FIRST_REPEATING_YEAR) return repeatSpans(offsets, year);
  const known = offsets.years.get(year);
  if (known !== undefined) return known;
  const spans = findSpans(offsets.read, year);
  if (offsets.years.size >= MAX_REMEMBERED_YEARS) offsets.years.clear();
  offsets.years.set(year, spans);
  return spans;
}

function repeatSpans(offsets: ZoneOffsets, year: number): readonly Span[] {
  const start = dayOfDate(year, 1, 1);
  const shape = weekdayOf(start) * 2 + (isLeapYear(year) ? 1 : 0);
  let model = offsets.shapes[shape];
  if (model === undefined) {
    model = findSpans(offsets.read, year).map((span) => shiftSpan(span, -start * DAY_SECONDS));
    offsets.shapes[shape] = model;
  }
  return model.map((span) => shiftSpan(span, start * DAY_SECONDS));
}

function shiftSpan(span: Span, by: number): Span {
  return { ...span, start: span.start + by, end: span.end + by };
}

/**
 * Returns the spans that touch a year. The first and the last end where the year does, unless the change is at most two
 * days further: a repeated or skipped stretch of local time must not lose its beginning or end to the turn of the year.
 */
function findSpans(read: OffsetReader, year: number): readonly Span[] {
  const yearStart = dayOfDate(year, 1, 1) * DAY_SECONDS;
  const yearEnd = dayOfDate(year + 1, 1, 1) * DAY_SECONDS;
  const probeSeconds = year < FIRST_CALM_YEAR ? PROBE_SECONDS : CALM_PROBE_SECONDS;
  const spans: Span[] = [];
  let start = yearStart;
  let probed = yearStart - MARGIN_SECONDS;
  let offset = read(probed);
  let offsetBefore = offset;
  while (probed < yearEnd + MARGIN_SECONDS) {
    const next = Math.min(probed + probeSeconds, yearEnd + MARGIN_SECONDS);
    const offsetAfter = read(next);
    if (offsetAfter !== offset) {
      const change = findChange(read, probed, next, offset);
      if (change > yearStart) spans.push({ start, end: change, offset, offsetBefore, offsetAfter });
      if (change >= yearEnd) return spans;
      offsetBefore = offset;
      offset = offsetAfter;
      start = change;
    }
    probed = next;
  }
  spans.push({ start, end: yearEnd, offset, offsetBefore, offsetAfter: offset });
  return spans;
}

/**
 * Returns the first second after `before` whose offset is not `offset`; that of `after` is known not to be. Nearly all
 * changes are at a quarter of an hour, so those are searched first.
 */
function findChange(read: OffsetReader, before: number, after: number, offset: number): number {
  const [low, high] = bisect(read, before, after, offset, QUARTER_SECONDS);
  return read(high - 1) === offset ? high : bisect(read, low, high, offset, 1)[1];
}

/** Halves a stretch at multiples of `step` from its start until it is one step long; the change is within. */
function bisect(
  read: OffsetReader,
  before: number,
  after: number,
  offset: number,
  step: number,
): [low: number, high: number] {
  let low = before;
  let high = after;
  while (high - low > step) {
    const middle = low + Math.floor((high - low) / step / 2) * step;
    if (read(middle) === offset) low = middle;
    else high = middle;
  }
  return [low, high];
}

/** Reads the offset off a formatted local time such as "3/28/2027, 02:30:00". */
function readOffset(clock: Intl.DateTimeFormat, second: number): number {
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0, rest = 0] = clock
    .format(second * 1000)
    .split(/\D+/)
    .map(Number);
  return dayOfDate(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + rest - second;
}
