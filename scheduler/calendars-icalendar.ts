import ICAL from "ical.js";
import { instantsOfLocal } from "../cron/local-instants.ts";
import { DAY_SECONDS, dayOfDate, formatDate } from "../cron/local-time.ts";
import { offsetAt } from "../cron/zone-offsets.ts";
import { ICalendarError, isIanaZone, scanLines } from "./calendars-icalendar-lines.ts";

/** How far back and ahead of the import events are looked for: a year, and five. */
const BACK_DAYS = 366;
const AHEAD_DAYS = 5 * 366;
/** Most occurrences that are gone through in one import, the past ones of recurring events included. */
const MAX_OCCURRENCES = 50_000;

/** What an import needs besides the text. */
export interface ImportOptions {
  /** The calendar's zone: local dates are its. */
  readonly timeZone: string;
  /** The instant of the import, epoch milliseconds. */
  readonly nowMs: number;
}

interface EventAt {
  readonly event: ICAL.Event;
  readonly line: number;
}

/**
 * The local dates on which anything happens in an iCalendar text (RFC 5545), as dates and ranges, in order: each day
 * that an event touches in the calendar's zone, from a year ago to five years ahead. Events that are cancelled are
 * left out; recurrence rules, EXDATE, RDATE and overridden occurrences are followed. Throws an ICalendarError.
 *
 * A hostile rule can keep the parser busy for ever: to be called in a thread of its own only (calendars-import.ts).
 */
export function importDates(text: string, options: ImportOptions): string[] {
  const { eventLines } = scanLines(text);
  const events = parseEvents(text, eventLines);
  const today = Math.floor(options.nowMs / 86_400_000);
  const window = { first: today - BACK_DAYS, last: today + AHEAD_DAYS };
  const days = new Set<number>();
  let left = MAX_OCCURRENCES;
  for (const { event, line } of mainEvents(events)) {
    try {
      for (const occurrence of occurrences(event)) {
        if (left-- === 0) throw new Error(`there are more than ${MAX_OCCURRENCES} occurrences up to it`);
        const [first, last] = daysOf(occurrence, event, options.timeZone);
        if (first > window.last) break;
        for (let day = Math.max(first, window.first); day <= Math.min(last, window.last); day++)
          days.add(day);
      }
    } catch (error) {
      const problem = error instanceof Error ? error.message.slice(0, 120) : "unreadable";
      throw new ICalendarError(line, "VEVENT", `begins an event that cannot be expanded: ${problem}`);
    }
  }
  return toRanges([...days].sort((a, b) => a - b));
}

function parseEvents(text: string, eventLines: readonly number[]): EventAt[] {
  let calendar: ICAL.Component;
  try {
    calendar = new ICAL.Component(ICAL.parse(text) as unknown[]);
  } catch (error) {
    const problem = error instanceof Error ? error.message.slice(0, 120) : "unreadable";
    throw new ICalendarError(1, "VCALENDAR", `begins a calendar that cannot be parsed: ${problem}`);
  }
  return calendar.getAllSubcomponents("vevent").map((component, index) => ({
    event: new ICAL.Event(component, { exceptions: [] }),
    line: eventLines[index] ?? 1,
  }));
}

/** The events that are not overriding an occurrence of another, those related to them; cancelled ones take away. */
function mainEvents(events: readonly EventAt[]): EventAt[] {
  const mains = new Map<string, EventAt>();
  const rest: EventAt[] = [];
  for (const each of events) {
    const overrides = each.event.isRecurrenceException();
    if (overrides || mains.has(each.event.uid) || !each.event.uid) rest.push(each);
    else mains.set(each.event.uid, each);
  }
  const alone = rest.filter((each) => {
    const main = mains.get(each.event.uid);
    if (main === undefined || !each.event.isRecurrenceException()) return true;
    main.event.relateException(each.event);
    return false;
  });
  return [...mains.values(), ...alone].filter(({ event }) => !isCancelled(event));
}

function isCancelled(event: ICAL.Event): boolean {
  return String(event.component.getFirstPropertyValue("status") ?? "").toUpperCase() === "CANCELLED";
}

interface Occurrence {
  readonly start: ICAL.Time;
  readonly end: ICAL.Time | null;
}

function* occurrences(event: ICAL.Event): Generator<Occurrence> {
  if (!event.isRecurring()) {
    yield { start: event.startDate, end: event.endDate };
    return;
  }
  // The parser leaves out the start of an event that recurs by RDATE alone.
  if (!event.component.hasProperty("rrule")) yield { start: event.startDate, end: event.endDate };
  const iterator = event.iterator();
  for (let next = iterator.next(); next != null; next = iterator.next()) {
    const { item, startDate, endDate } = event.getOccurrenceDetails(next);
    if (!isCancelled(item)) yield { start: startDate, end: endDate };
  }
}

/** First and last local day of an occurrence; its end is exclusive. */
function daysOf({ start, end }: Occurrence, event: ICAL.Event, timeZone: string): [number, number] {
  const first = dayOfDate(start.year, start.month, start.day);
  if (start.isDate) {
    const last = end === null ? first : dayOfDate(end.year, end.month, end.day) - 1;
    return [first, Math.max(first, last)];
  }
  const startSecond = localSecond(start, event, timeZone);
  const endSecond = end === null ? startSecond : localSecond(end, event, timeZone) - 1;
  const day = Math.floor(startSecond / DAY_SECONDS);
  return [day, Math.max(day, Math.floor(endSecond / DAY_SECONDS))];
}

/** A time as a local second of the calendar's zone. Floating times are local there already. */
function localSecond(time: ICAL.Time, event: ICAL.Event, timeZone: string): number {
  const wall = dayOfDate(time.year, time.month, time.day) * DAY_SECONDS + secondOfDay(time);
  const instant = instantOf(time, wall, event);
  return instant === null ? wall : instant + offsetAt(timeZone, instant * 1000);
}

function instantOf(time: ICAL.Time, wall: number, event: ICAL.Event): number | null {
  const zoneId = time.zone?.tzid ?? "floating";
  if (zoneId === "UTC" || zoneId === "Z") return wall;
  const named =
    zoneId === "floating"
      ? String(event.component.getFirstProperty("dtstart")?.getParameter("tzid") ?? "")
      : zoneId;
  // The IANA database knows better than the rules that came with the file.
  if (isIanaZone(named)) {
    return instantsOfLocal(named, wall, { gap: "FIRE_AT_END", overlap: "FIRST" })[0] ?? wall;
  }
  return zoneId === "floating" ? null : time.toUnixTime();
}

function secondOfDay(time: ICAL.Time): number {
  return time.hour * 3600 + time.minute * 60 + time.second;
}

function toRanges(days: readonly number[]): string[] {
  const ranges: [number, number][] = [];
  for (const day of days) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === day - 1) last[1] = day;
    else ranges.push([day, day]);
  }
  return ranges.map(([first, last]) =>
    first === last ? formatDate(first) : `${formatDate(first)}/${formatDate(last)}`,
  );
}
