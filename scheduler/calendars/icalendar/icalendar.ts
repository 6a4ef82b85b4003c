import ICAL from "ical.js";
import { DAY_SECONDS, formatDate } from "../../../cron/local-time.ts";
import { ICalendarError } from "./error.ts";
import { type ScannedEvent, type ScannedText, scanLines } from "./lines.ts";
import {
  endOf,
  isCancelled,
  type Occurrence,
  type OccurrenceRange,
  occurrencesOf,
  override,
  startOf,
} from "./occurrences.ts";
import { dayOf, localSecond } from "./times.ts";

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

interface EventAt extends ScannedEvent {
  readonly event: ICAL.Event;
}

/**
 * The local dates on which anything happens in an iCalendar text (RFC 5545), as dates and ranges, in order: each day
 * that an event touches in the calendar's zone, from a year ago to five years ahead. Events that are cancelled are
 * left out; recurrence rules, EXDATE, RDATE and overridden occurrences are followed. Throws an ICalendarError.
 *
 * A hostile rule can keep the parser busy for ever: to be called in a thread of its own only (calendars-import.ts).
 */
export function importDates(text: string, { timeZone, nowMs }: ImportOptions): string[] {
  const events = parseEvents(scanLines(text));
  for (const each of events) checkEnd(each, timeZone);
  const today = Math.floor(nowMs / 86_400_000);
  const window = { first: today - BACK_DAYS, last: today + AHEAD_DAYS };
  const days = new Set<number>();
  let left = MAX_OCCURRENCES;
  for (const each of mainEvents(events, timeZone)) {
    expand(each, { calendarZone: timeZone, lastDay: window.last }, (occurrence) => {
      if (left-- === 0)
        throw cannotExpand(each, `there are more than ${MAX_OCCURRENCES} occurrences up to it`);
      const [first, last] = daysOf(occurrence, timeZone);
      for (let day = Math.max(first, window.first); day <= Math.min(last, window.last); day++) days.add(day);
    });
  }
  return toRanges([...days].sort((a, b) => a - b));
}

function expand(each: EventAt, range: OccurrenceRange, take: (occurrence: Occurrence) => void): void {
  try {
    for (const occurrence of occurrencesOf(each.event, range)) take(occurrence);
  } catch (error) {
    if (error instanceof ICalendarError) throw error;
    // The library's words are of its own insides.
    throw cannotExpand(each, "its RRULE, RDATE or EXDATE does not fit its DTSTART");
  }
}

function cannotExpand({ line }: ScannedEvent, problem: string): ICalendarError {
  return new ICalendarError(line, "VEVENT", `begins an event that cannot be expanded: ${problem}`);
}

function parseEvents({ text, events }: ScannedText): EventAt[] {
  let calendar: ICAL.Component;
  try {
    calendar = new ICAL.Component(ICAL.parse(text) as unknown[]);
  } catch {
    // Of the events only what was checked is left; zones are taken as they are.
    throw new ICalendarError(1, "VCALENDAR", "begins a calendar with a VTIMEZONE that cannot be read");
  }
  return calendar.getAllSubcomponents("vevent").map((component, index) => ({
    event: new ICAL.Event(component, { exceptions: [] }),
    ...(events[index] ?? { line: 1, endLine: 1 }),
  }));
}

function checkEnd({ event, endLine }: EventAt, timeZone: string): void {
  const [start, end] = [startOf(event), endOf(event)];
  const isBefore = start.time.isDate
    ? dayOf(end.time) < dayOf(start.time)
    : localSecond(end, timeZone) < localSecond(start, timeZone);
  if (!isBefore) return;
  const given = `${end.time.toString()}, before its DTSTART, ${start.time.toString()}`;
  throw new ICalendarError(endLine, end.time.toString(), `has the DTEND ${given}; accepted: a later one`);
}

/** The events that are not overriding an occurrence of another, those related to them; cancelled ones take away. */
function mainEvents(events: readonly EventAt[], timeZone: string): EventAt[] {
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
    override(main.event, each.event, timeZone);
    return false;
  });
  return [...mains.values(), ...alone].filter(({ event }) => !isCancelled(event));
}

/** First and last local day of an occurrence; its end is exclusive. */
function daysOf({ start, end }: Occurrence, timeZone: string): [number, number] {
  if (start.time.isDate) {
    const first = dayOf(start.time);
    return [first, Math.max(first, dayOf(end.time) - 1)];
  }
  const day = Math.floor(localSecond(start, timeZone) / DAY_SECONDS);
  return [day, Math.max(day, Math.floor((localSecond(end, timeZone) - 1) / DAY_SECONDS))];
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
