import { DAY_SECONDS } from "../../../cron/local-time.ts";
import { zoneOffsets } from "../../../cron/zone-offsets.ts";
import type { Component } from "./components.ts";
import { ICalendarError } from "./error.ts";
import { type Property, shown, wrong } from "./lines.ts";
import { type Clocks, dateOf, instantOf, type Moment, midnightOf } from "./moments.ts";
import { parseRule, type WrittenRule } from "./rule.ts";
import { ACCEPTED_DATE, parseDate, parseDuration, splitList } from "./values.ts";
import type { Zones } from "./zones.ts";

/** From when to when. The end is exclusive. */
export interface Occurrence {
  readonly start: Moment;
  readonly end: Moment;
}

/** An event of a calendar object, as it is written. */
export interface CalendarEvent extends Occurrence {
  /** The line of its BEGIN, counted from 1. */
  readonly line: number;
  /** Its first RRULE or RDATE. */
  readonly recurrence: Property | undefined;
  /** Empty if it has none. */
  readonly uid: string;
  /** 0 if it has none. */
  readonly sequence: number;
  readonly isCancelled: boolean;
  readonly rules: readonly WrittenRule[];
  /** The dates of RDATE. */
  readonly dates: readonly Moment[];
  /** The periods of RDATE. */
  readonly periods: readonly Occurrence[];
  /** The dates of EXDATE. */
  readonly excluded: readonly Moment[];
  /** The occurrence of another event that it overrides. */
  readonly overrides: Moment | undefined;
  /** Whether it overrides later occurrences as well. */
  readonly andFuture: boolean;
}

/** What the dates of an event are read with. */
interface EventZones {
  readonly clocks: Clocks;
  readonly zones: Zones;
}

const ONCE = ["DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "UID", "SEQUENCE", "STATUS"];
/** The IANA names of UTC. A VTIMEZONE cannot have one of them, because the IANA database comes first. */
const UTC_NAMES = new Set([
  "UTC",
  "Etc/UTC",
  "UCT",
  "Etc/UCT",
  "Zulu",
  "Etc/Zulu",
  "Universal",
  "Etc/Universal",
]);
const ACCEPTED_DURATION = "accepted: a duration such as PT1H30M or P2D, not negative";
const ACCEPTED_PERIOD = "accepted: 20261225T090000Z/20261225T170000Z or 20261225T090000Z/PT8H";

/** Reads an event. What an import does not look at is passed over. Throws an ICalendarError. */
export function readEvent(component: Component, zones: Zones, clocks: Clocks): CalendarEvent {
  const { line, name, properties } = component;
  const given = { clocks, zones };
  const all = (wanted: string) => properties.filter((property) => property.name === wanted);
  for (const wanted of ONCE) {
    const [first, ...more] = all(wanted);
    const other = more.find(({ text }) => text !== first?.text);
    if (other !== undefined) throw wrong(other, `has a second ${wanted}; an event has one at most`);
  }
  for (const rule of all("EXRULE")) {
    if (rule.value !== "")
      throw wrong(rule, "has EXRULE, which is not supported; list the dates in EXDATE instead");
  }
  const [started] = all("DTSTART");
  if (started === undefined) throw new ICalendarError(line, name, "begins an event without DTSTART");
  const start = readMoment(started, given);
  const [id] = all("RECURRENCE-ID");
  const rdates = all("RDATE");
  const isOfPeriods = (property: Property) => property.parameters.get("VALUE")?.toUpperCase() === "PERIOD";
  return {
    line,
    recurrence: properties.find(
      (each) => (each.name === "RRULE" || each.name === "RDATE") && each.value !== "",
    ),
    start,
    end: readEnd(start, properties, given),
    uid: all("UID")[0]?.value ?? "",
    sequence: readSequence(all("SEQUENCE")[0]),
    isCancelled: all("STATUS")[0]?.value.toUpperCase() === "CANCELLED",
    rules: all("RRULE").flatMap(readRule),
    dates: rdates.filter((each) => !isOfPeriods(each)).flatMap((each) => readMoments(each, given)),
    periods: rdates.filter(isOfPeriods).flatMap((each) => readPeriods(each, given)),
    excluded: all("EXDATE").flatMap((each) => readMoments(each, given)),
    overrides: id === undefined ? undefined : readMoment(id, given),
    andFuture: id !== undefined && readRange(id),
  };
}

function readRule(property: Property): WrittenRule[] {
  const rule = parseRule(property.value);
  if (rule === undefined) return [];
  if ("problem" in rule) throw wrong(property, rule.problem);
  return [rule];
}

function readSequence(property: Property | undefined): number {
  if (property === undefined || property.value === "") return 0;
  if (!/^\d{1,10}$/.test(property.value))
    throw wrong(property, `has ${shown(property.value)} for SEQUENCE; accepted: a whole number from 0`);
  return Number(property.value);
}

function readRange(property: Property): boolean {
  const range = property.parameters.get("RANGE")?.toUpperCase();
  if (range !== undefined && range !== "THISANDFUTURE")
    throw wrong(property, `has RANGE ${shown(range)}; accepted: THISANDFUTURE`);
  return range !== undefined;
}

/**
 * Returns the end of an event, exclusive: its DTEND, or its start plus its DURATION. Without both, an event on a date
 * ends with that date, and an event at a time ends at once.
 */
function readEnd(start: Moment, properties: readonly Property[], given: EventZones): Moment {
  const duration = properties.find(({ name }) => name === "DURATION");
  const seconds = duration === undefined ? undefined : parseDuration(duration.value);
  if (duration !== undefined && seconds === undefined)
    throw wrong(duration, `has ${shown(duration.value)}; ${ACCEPTED_DURATION}`);
  const ended = properties.find(({ name }) => name === "DTEND");
  if (ended === undefined) {
    return { ...start, local: start.local + (seconds ?? (start.isDate ? DAY_SECONDS : 0)) };
  }
  const end = asDateIf(start.isDate, readMoment(ended, given), given.clocks);
  if (!isBefore(end, start)) return end;
  const started = properties.find(({ name }) => name === "DTSTART");
  const problem = `has the DTEND ${ended.value}, which is before the DTSTART ${started?.value}; give a later DTEND`;
  throw wrong(ended, problem);
}

/** Returns the end of an event on dates as a date. An end within a day means the end of that day. */
function asDateIf(isOnDates: boolean, end: Moment, clocks: Clocks): Moment {
  if (!isOnDates || end.isDate) return end;
  const local = midnightOf(end, clocks) ?? dateOf(end, clocks) + DAY_SECONDS;
  return { local, isDate: true, zone: clocks.calendar, isUtc: false };
}

function isBefore(end: Moment, start: Moment): boolean {
  const onOneClock = start.isDate || end.isDate || start.zone === end.zone;
  return onOneClock ? end.local < start.local : instantOf(end) < instantOf(start);
}

function readMoment(property: Property, given: EventZones): Moment {
  const [moment, ...more] = readList(property, [property.value], given);
  if (moment === undefined || more.length > 0) throw wrong(property, `has no ${property.name}`);
  return moment;
}

function readMoments(property: Property, given: EventZones): Moment[] {
  return readList(property, splitList(property.value), given);
}

function readList(property: Property, texts: readonly string[], given: EventZones): Moment[] {
  const moments = texts.map((text) => momentOf(property, text, given));
  const timed = moments.filter(({ isDate }) => !isDate).length;
  const saidDate = property.parameters.get("VALUE")?.toUpperCase() === "DATE";
  if (timed !== 0 && (timed !== moments.length || saidDate))
    throw wrong(property, `mixes dates with and without a time of day; ${ACCEPTED_DATE}`);
  return moments;
}

/** Reads a date. One that ends in Z is in UTC, and one without a time of day is in no zone, whatever its TZID says. */
function momentOf(property: Property, text: string, { clocks, zones }: EventZones): Moment {
  const date = parseDate(text);
  if (date === undefined) throw wrong(property, `has ${shown(text)} for ${property.name}; ${ACCEPTED_DATE}`);
  const { local, isDate } = date;
  if (isDate) return { local, isDate, zone: clocks.calendar, isUtc: false };
  if (date.isUtc) return { local, isDate, zone: zoneOffsets("UTC"), isUtc: true };
  const tzid = property.parameters.get("TZID") ?? "";
  const zone = tzid === "" ? clocks.calendar : zones.find(tzid);
  if (zone === undefined) {
    const problem = `names the unknown zone ${shown(tzid)}; use an IANA name, or add a VTIMEZONE for it`;
    throw wrong(property, problem);
  }
  return { local, isDate, zone, isUtc: tzid !== "" && UTC_NAMES.has(zone.name) };
}

function readPeriods(property: Property, given: EventZones): Occurrence[] {
  return splitList(property.value).map((text) => {
    const [first = "", last = "", ...more] = text.split("/");
    const isDated = parseDate(first)?.isDate === false && parseDate(last)?.isDate === false;
    const seconds = parseDuration(last);
    if (more.length > 0 || parseDate(first)?.isDate !== false || (seconds === undefined && !isDated))
      throw wrong(property, `has the period ${shown(text)}; ${ACCEPTED_PERIOD}`);
    const start = momentOf(property, first, given);
    const end =
      seconds === undefined ? momentOf(property, last, given) : { ...start, local: start.local + seconds };
    if (isBefore(end, start))
      throw wrong(property, `has the period ${shown(text)}, which ends before it starts`);
    return { start, end };
  });
}
