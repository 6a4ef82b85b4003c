import { type ChangeHints, findSpans, type OffsetReader, type Span } from "./find-spans.ts";
import { DAY_SECONDS, dateOfDay, dayOfDate, daysInMonth, isLeapYear, weekdayOf } from "./local-time.ts";
import { canonicalZone } from "./zone.ts";

export type { Span } from "./find-spans.ts";

/*
 * Where a zone's offset from UTC changes, found by asking Intl.DateTimeFormat, a month at a time and only when asked,
 * with seven to ten questions of 1.5 microseconds. Months, because a schedule that is due once a year, and falls into a
 * gap each time, has to be followed through all the years to come, and needs a few days of each.
 *
 * From 2100 on no zone has rules of its own for single years, so all years of one shape (leap or not, weekday of 1
 * January) share the changes of the first such year. Until then some have: Gaza to 2086, and
 * Morocco to 2087 up to release 2026b of the zone database.
 */

/** First and last calendar year (UTC) of which offsets are known. */
export const FIRST_YEAR = 1900;
export const LAST_YEAR = 2400;

const FIRST_REPEATING_YEAR = 2100;
/** The most years remembered for one zone. With all zones at their most that is 31 MiB. */
const MAX_REMEMBERED_YEARS = 128;

/** The spans of a month, relative to its start; a number is the one offset that is kept throughout. */
type MonthModel = number | readonly Span[];

/** What is known of a year's months, from place 1 on. */
type YearModel = (MonthModel | undefined)[];

/** One zone's spans, computed on demand and kept. */
export type ZoneOffsets = {
  readonly name: string;
  readonly read: OffsetReader;
  /** By year, those asked about first coming first. */
  readonly years: Map<number, YearModel>;
  /** By shape, for repeating years. */
  readonly shapes: Map<number, YearModel>;
  readonly hints: ChangeHints;
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
  const offsets = createZoneOffsets(zone, createReader(canonicalZone(zone)));
  offsetsByZone.set(zone, offsets);
  return offsets;
}

/**
 * Makes the offsets of a zone from any source of them that keeps each for more than six days, as all zones have done and
 * will do from 1900 on. The shortest are 6.96 days in Asia/Gaza, around Ramadan in 2040, 2054 and 2072.
 */
export function createZoneOffsets(name: string, read: OffsetReader): ZoneOffsets {
  const nowhere: Span = { start: 0, end: 0, offset: 0, offsetBefore: 0, offsetAfter: 0 };
  return { name, read, years: new Map(), shapes: new Map(), hints: new Map(), latest: nowhere };
}

/** Returns the span that contains a second of the years FIRST_YEAR to LAST_YEAR (UTC). Throws RangeError outside. */
export function spanAt(offsets: ZoneOffsets, second: number): Span {
  const { latest } = offsets;
  if (second >= latest.start && second < latest.end) return latest;
  if (!(second >= FIRST_SECOND && second <= LAST_SECOND)) {
    throw new RangeError(`No zone offsets at second ${second}.`);
  }
  offsets.latest = findSpanAt(offsets, second);
  return offsets.latest;
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

/** The first second (UTC) from which years of one shape share their changes. */
export const FIRST_REPEATING_SECOND = dayOfDate(FIRST_REPEATING_YEAR, 1, 1) * DAY_SECONDS;

/**
 * A time that holds a whole year (UTC) of each of the 14 shapes, wherever it begins: 40 years, and one to begin within.
 *
 * What happens in a repeating year depends on its shape alone. Its changes do, because none is within two days of a New
 * Year; and the days on which a schedule matches do, in December before and January after it too, because those months
 * always have 31 days. So a search that has found nothing in all of this time finds nothing later.
 */
export const ALL_SHAPES_SECONDS = 41 * 366 * DAY_SECONDS;

function findSpanAt(offsets: ZoneOffsets, second: number): Span {
  const day = Math.floor(second / DAY_SECONDS);
  const date = dateOfDay(day);
  const [year, month] = [date >> 9, (date >> 5) & 15];
  const start = (day - (date & 31) + 1) * DAY_SECONDS;
  const end = start + daysInMonth(year, month) * DAY_SECONDS;
  const months = monthsOfYear(offsets, year);
  let model = months[month];
  if (model === undefined) {
    model = findModel(offsets, start, end);
    months[month] = model;
  }
  if (typeof model === "number")
    return { start, end, offset: model, offsetBefore: model, offsetAfter: model };
  const span = model.find((each) => second < each.end + start);
  if (span === undefined) throw new RangeError(`No zone offset at second ${second}.`);
  return shiftSpan(span, start);
}

/** Returns what is remembered of a year, and makes room for it by forgetting the year asked about first. */
function monthsOfYear({ years, shapes }: ZoneOffsets, year: number): YearModel {
  const repeats = year >= FIRST_REPEATING_YEAR;
  const models = repeats ? shapes : years;
  const key = repeats ? shapeOf(year) : year;
  const known = models.get(key);
  if (known !== undefined) return known;
  const [oldest = key] = models.keys();
  if (models.size >= MAX_REMEMBERED_YEARS) models.delete(oldest);
  const months: YearModel = Array.from({ length: 13 });
  models.set(key, months);
  return months;
}

/** Which of the 14 kinds of year one is, by its first weekday and whether it is a leap year. */
function shapeOf(year: number): number {
  return weekdayOf(dayOfDate(year, 1, 1)) * 2 + (isLeapYear(year) ? 1 : 0);
}

function findModel({ read, hints }: ZoneOffsets, start: number, end: number): MonthModel {
  const spans = findSpans(read, start, end, hints);
  const [only] = spans;
  const calm =
    only !== undefined && only.start === start && only.end === end && only.offsetBefore === only.offsetAfter;
  return calm ? only.offset : spans.map((span) => shiftSpan(span, -start));
}

function shiftSpan(span: Span, by: number): Span {
  return { ...span, start: span.start + by, end: span.end + by };
}

/** Reads a zone's offsets by `Intl`, off local times such as "28, 02:30:00": fewer fields are formatted faster. */
function createReader(timeZone: string): OffsetReader {
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  return (second) => {
    const text = clock.format(second * 1000);
    const comma = text.indexOf(",");
    const utcDay = Math.floor(second / DAY_SECONDS);
    const days = Number(text.slice(0, comma)) - (dateOfDay(utcDay) & 31);
    // The local date is that of UTC, or the one before or after it, perhaps across the turn of a month.
    const ahead = days > 1 ? -1 : days < -1 ? 1 : days;
    const hour = twoDigits(text, comma + 2);
    const minute = twoDigits(text, comma + 5);
    return (utcDay + ahead) * DAY_SECONDS + hour * 3600 + minute * 60 + twoDigits(text, comma + 8) - second;
  };
}

/** Reads a number of two digits at a place in a text. */
function twoDigits(text: string, at: number): number {
  return text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 11 * 48;
}
