import ICAL from "ical.js";
import { alignTo, dateAtStart, dayOf, endOfDate, type ZonedTime, zonedTime } from "./times.ts";

/** One occurrence of an event. */
export interface Occurrence {
  readonly start: ZonedTime;
  /** Exclusive. */
  readonly end: ZonedTime;
}

/** Which occurrences of an event to return. */
export interface OccurrenceRange {
  /** The zone of times that do not name one. */
  readonly calendarZone: string;
  /** The last day to search, counted in days since 1970. */
  readonly lastDay: number;
}

/** Returns the start of an event. Throws if it has none. */
export function startOf(event: ICAL.Event): ZonedTime {
  const property = event.component.getFirstProperty("dtstart");
  if (property === null) throw new Error("The event has no DTSTART, although the scan has checked it.");
  return zonedTime(property);
}

/**
 * Returns the end of an event, exclusive: its DTEND, or its start plus its DURATION. Without both, an event on a date ends
 * with that date, and an event at a time ends at once.
 */
export function endOf(event: ICAL.Event): ZonedTime {
  const property = event.component.getFirstProperty("dtend");
  return property === null ? { time: event.endDate, zone: startOf(event).zone } : zonedTime(property);
}

/** Whether an event, or an event that overrides an occurrence, is cancelled. */
export function isCancelled(event: ICAL.Event): boolean {
  return String(event.component.getFirstPropertyValue("status") ?? "").toUpperCase() === "CANCELLED";
}

/** Attaches `event` to `main` as an override of the occurrence that its RECURRENCE-ID names, in any zone. */
export function override(main: ICAL.Event, event: ICAL.Event, calendarZone: string): void {
  const property = event.component.getFirstProperty("recurrence-id");
  if (property === null) return;
  const start = startOf(main);
  const aligned = alignTo(start, zonedTime(property), calendarZone);
  const id = aligned.isDate && !start.time.isDate ? dateAtStart(aligned, start) : aligned;
  property.resetType(id.isDate ? "date" : "date-time");
  property.setValue(id);
  main.relateException(event);
}

/**
 * Yields the occurrences of an event: those that its rules give up to the last day, and those that RDATE names, without
 * those that EXDATE excludes. A moved occurrence counts on the day to which it was moved, even if its original day is
 * after the last day.
 */
export function* occurrencesOf(event: ICAL.Event, range: OccurrenceRange): Generator<Occurrence> {
  const start = startOf(event);
  const excluded = excludedKeys(event, start, range);
  const seen = new Set<string>();
  const plain = Object.keys(event.exceptions).length === 0 ? plainly(event, start) : undefined;
  for (const id of recurrenceIds(event, start, range)) {
    const key = id.toString();
    if (seen.has(key)) continue;
    seen.add(key);
    if (excluded.has(key) || excluded.has(key.slice(0, 10))) continue;
    if (plain !== undefined) yield plain(id);
    else yield* occurrenceAt(event, id, start.zone);
  }
  for (const period of periodsOf(event)) {
    const key = alignTo(start, period.start, range.calendarZone).toString();
    if (!excluded.has(key) && !excluded.has(key.slice(0, 10))) yield period;
  }
  for (const moved of Object.values(event.exceptions)) {
    if (dayOf(moved.recurrenceId) > range.lastDay + 1 && !isCancelled(moved)) yield whole(moved);
  }
}

function* recurrenceIds(event: ICAL.Event, start: ZonedTime, range: OccurrenceRange): Generator<ICAL.Time> {
  const rules = event.component.getAllProperties("rrule");
  if (rules.length === 0) yield start.time;
  for (const property of rules) {
    const rule = (property.getFirstValue() as unknown as ICAL.Recur).clone();
    alignUntil(rule, start, range.calendarZone);
    const iterator = rule.iterator(start.time);
    for (let next = iterator.next(); next != null; next = iterator.next()) {
      // This compares the original times, not those of moved occurrences, because a rule gives its times in order.
      if (dayOf(next) > range.lastDay + 1) break;
      yield next.clone();
    }
  }
  for (const { time, zone } of valuesOf(event, "rdate")) {
    if (time instanceof ICAL.Period) continue;
    const aligned = alignTo(start, { time, zone }, range.calendarZone);
    yield aligned.isDate && !start.time.isDate ? dateAtStart(aligned, start) : aligned;
  }
}

function alignUntil(rule: ICAL.Recur, start: ZonedTime, calendarZone: string): void {
  const { until } = rule;
  if (until === null || until === undefined) return;
  const zone = until.zone?.tzid === "UTC" || until.zone?.tzid === "Z" ? "UTC" : start.zone;
  const aligned = alignTo(start, { time: until, zone }, calendarZone);
  rule.until = aligned.isDate && !start.time.isDate ? endOfDate(aligned, start) : aligned;
}

/** Like `occurrenceAt`, for an event without overridden occurrences. Most events have none, and it is twice as fast. */
function plainly(event: ICAL.Event, start: ZonedTime): (id: ICAL.Time) => Occurrence {
  const { duration } = event;
  return (id) => {
    if (id === start.time) return whole(event);
    const end = id.clone();
    end.addDuration(duration);
    return { start: { time: id, zone: start.zone }, end: { time: end, zone: start.zone } };
  };
}

function* occurrenceAt(event: ICAL.Event, id: ICAL.Time, zone: string): Generator<Occurrence> {
  const { item, startDate, endDate } = event.getOccurrenceDetails(id);
  if (isCancelled(item)) return;
  const isItself = item === event ? id === startOf(event).time : `${item.recurrenceId}` === id.toString();
  if (isItself) yield whole(item);
  else {
    const own = item === event ? zone : startOf(item).zone;
    yield { start: { time: startDate, zone: own }, end: { time: endDate, zone: own } };
  }
}

function whole(event: ICAL.Event): Occurrence {
  return { start: startOf(event), end: endOf(event) };
}

function excludedKeys(event: ICAL.Event, start: ZonedTime, range: OccurrenceRange): Set<string> {
  const given = valuesOf(event, "exdate");
  return new Set(given.map((each) => alignTo(start, each, range.calendarZone).toString()));
}

function periodsOf(event: ICAL.Event): Occurrence[] {
  return valuesOf(event, "rdate").flatMap(({ time, zone }) => {
    if (!(time instanceof ICAL.Period)) return [];
    const isUtc = time.start.zone?.tzid === "UTC";
    const own = isUtc ? "UTC" : zone;
    return [{ start: { time: time.start, zone: own }, end: { time: time.getEnd(), zone: own } }];
  });
}

function valuesOf(event: ICAL.Event, name: string): ZonedTime[] {
  return event.component
    .getAllProperties(name)
    .flatMap((property) => property.getValues().map((value) => zonedTime(property, value)));
}
