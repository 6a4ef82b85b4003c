import { type ChangeHints, findSpans, type OffsetReader, type Span } from "./find-spans.ts";
import { DAY_SECONDS, dateOfDay, dayOfDate, daysInMonth, isLeapYear, weekdayOf } from "./local-time.ts";
import { canonicalZone } from "./zone.ts";

export type { Span } from "./find-spans.ts";

/*
 * Finds where a zone's offset from UTC changes, by asking Intl.DateTimeFormat. It asks for one month at a time and
 * only when the month is needed: seven to ten questions of 1.5 microseconds. A month is small enough for a schedule
 * that is due once a year and always falls into a gap: it has to be followed through all years, and needs a few days
 * of each.
 *
 * From 2100 on no zone has rules for single years. So all years of one shape share the changes of the first such
 * year. The shape of a year is whether it is a leap year, and the weekday of 1 January. Before 2100 some zones have
 * rules for single years: Gaza up to 2086, and Morocco up to 2087 in releases up to 2026b of the zone database.
 */

/** The first and last calendar year (UTC) for which offsets are known. */
export const FIRST_YEAR = 1900;
export const LAST_YEAR = 2400;

const FIRST_REPEATING_YEAR = 2100;
/** How many years are cached for one zone. With a full cache for every zone that is 31 MiB. */
const MAX_REMEMBERED_YEARS = 128;

/** The spans of a month, relative to its start. A number means one offset for the whole month. */
type MonthModel = number | readonly Span[];

/** The months of a year that are known, from index 1 on. */
type YearModel = (MonthModel | undefined)[];

/** The offsets of one zone, computed on demand and cached. */
export type ZoneOffsets = {
  readonly name: string;
  readonly read: OffsetReader;
  /** By year. The years that were asked for first come first. */
  readonly years: Map<number, YearModel>;
  /** By shape, for the years from 2100 on. */
  readonly shapes: Map<number, YearModel>;
  readonly hints: ChangeHints;
  /** The span of the last answer. Most questions are about the present. */
  latest: Span;
};

/** One entry for each zone that was asked for. canonicalZone limits them to about 600. */
const offsetsByZone = new Map<string, ZoneOffsets>();

/** Returns the offsets of a zone by its name. Throws a ScheduleError of field "timeZone" for an unknown name. */
export type ZoneSource = (zone: string) => ZoneOffsets;

/** A zone: its offsets, or its name. A name means the offsets of this process's `Intl`. */
export type Zone = string | ZoneOffsets;

/** Returns the offsets of a zone. Throws a ScheduleError of field "timeZone" for an unknown name. */
export function toOffsets(zone: Zone): ZoneOffsets {
  return typeof zone === "string" ? zoneOffsets(zone) : zone;
}

/**
 * Returns the offsets of a zone from this process's `Intl`. Throws a ScheduleError of field "timeZone" for an unknown
 * name.
 */
export function zoneOffsets(zone: string): ZoneOffsets {
  const existing = offsetsByZone.get(zone);
  if (existing !== undefined) return existing;
  const offsets = createZoneOffsets(zone, createReader(canonicalZone(zone)));
  offsetsByZone.set(zone, offsets);
  return offsets;
}

/**
 * Makes the offsets of a zone from any source. The source must keep each offset for more than six days. All zones do
 * so from 1900 on: the shortest time is 6.96 days, in Asia/Gaza around Ramadan in 2040, 2054 and 2072.
 */
export function createZoneOffsets(name: string, read: OffsetReader): ZoneOffsets {
  const nowhere: Span = { start: 0, end: 0, offset: 0, offsetBefore: 0, offsetAfter: 0 };
  return { name, read, years: new Map(), shapes: new Map(), hints: new Map(), latest: nowhere };
}

/** Returns the span that contains a second (UTC). Throws a RangeError outside the years FIRST_YEAR to LAST_YEAR. */
export function spanAt(offsets: ZoneOffsets, second: number): Span {
  const { latest } = offsets;
  if (second >= latest.start && second < latest.end) return latest;
  if (!(second >= FIRST_SECOND && second <= LAST_SECOND)) {
    throw new RangeError(
      `Second ${second} is not in the years ${FIRST_YEAR} to ${LAST_YEAR}; zone offsets are unknown.`,
    );
  }
  offsets.latest = findSpanAt(offsets, second);
  return offsets.latest;
}

/**
 * Returns the second (UTC) at which a search continues when nothing happens in local time between `local`, which is
 * in `span`, and `event`.
 *
 * If `local` is near the end of the span, this is the start of the next span, which may repeat local time. Otherwise
 * it is two days before the event (two offsets of a zone never differ by more), so that the time between is not
 * computed.
 */
export function skipTo(span: Span, local: number, event: number): number {
  const farFromEnd = span.end + span.offset - local > 2 * DAY_SECONDS;
  return farFromEnd ? Math.max(span.end, event - span.offset - 2 * DAY_SECONDS) : span.end;
}

/**
 * Returns the offset of a zone from UTC at an instant, in seconds. Outside the known years the nearest known instant
 * counts.
 */
export function offsetAt(zone: Zone, atMs: number): number {
  return spanAt(toOffsets(zone), knownSecond(atMs)).offset;
}

/** Returns the second of an instant, or the nearest second for which offsets are known. */
export function knownSecond(atMs: number): number {
  return Math.min(Math.max(Math.floor(atMs / 1000), FIRST_SECOND), LAST_SECOND);
}

/** The first and last second for which offsets are known. */
export const FIRST_SECOND = dayOfDate(FIRST_YEAR, 1, 1) * DAY_SECONDS;
export const LAST_SECOND = dayOfDate(LAST_YEAR + 1, 1, 1) * DAY_SECONDS - 1;

/** From this second (UTC) on, all years of one shape share their changes. */
export const FIRST_REPEATING_SECOND = dayOfDate(FIRST_REPEATING_YEAR, 1, 1) * DAY_SECONDS;

/**
 * A period that contains a whole year (UTC) of each of the 14 shapes, wherever it begins: 40 years, and one more
 * because it may begin within a year.
 *
 * From 2100 on, the events of a year depend only on its shape. This is true for its offset changes, because none is
 * within two days of a New Year. It is also true for the days on which a schedule matches, including the December
 * before and the January after, because these months always have 31 days. So a search that finds nothing in this
 * period finds nothing later.
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

/** Returns the cached months of a year. If the cache is full, it removes the year that was asked for first. */
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

/** The shape of a year, as one of 14 numbers: its first weekday, and whether it is a leap year. */
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

/**
 * Reads a zone's offsets from `Intl`, through local times such as "28, 02:30:00". Fewer fields are formatted faster.
 */
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
    // The local date is the UTC date, the one before or the one after. They may be in different months.
    const ahead = days > 1 ? -1 : days < -1 ? 1 : days;
    const hour = twoDigits(text, comma + 2);
    const minute = twoDigits(text, comma + 5);
    return (utcDay + ahead) * DAY_SECONDS + hour * 3600 + minute * 60 + twoDigits(text, comma + 8) - second;
  };
}

/** Reads a number of two digits at an index of a text. */
function twoDigits(text: string, at: number): number {
  return text.charCodeAt(at) * 10 + text.charCodeAt(at + 1) - 11 * 48;
}
