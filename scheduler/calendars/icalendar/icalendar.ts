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

/** How many days before and after the import are searched for events: one year and five years. */
const BACK_DAYS = 366;
const AHEAD_DAYS = 5 * 366;
/** The most occurrences that one import goes through. Past occurrences of recurring events count too. */
const MAX_OCCURRENCES = 50_000;

/** What an import needs besides the text. */
export interface ImportOptions {
  /** The zone of the calendar. The dates are local dates of this zone. */
  readonly timeZone: string;
  /** When the import happens, in epoch milliseconds. */
  readonly nowMs: number;
}

interface EventAt extends ScannedEvent {
  readonly event: ICAL.Event;
}

/**
 * Returns the local dates on which the events of an iCalendar text (RFC 5545) take place, as dates and ranges in order:
 * for example `2026-12-25` and `2026-12-28/2026-12-31`. A date counts if an event touches it in the calendar's zone. The
 * dates lie between one year before the import and five years after it.
 *
 * Recurrence rules, EXDATE, RDATE and overridden occurrences are followed. Cancelled events are left out. Throws an
 * ICalendarError.
 *
 * A hostile rule can keep the parser busy for ever. So call this in a thread of its own only (import.ts).
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
        throw cannotExpand(
          each,
          `the events up to here have more than ${MAX_OCCURRENCES} occurrences; import fewer events`,
        );
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
    // The library's message describes its own internals, and says nothing to a customer.
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
    // The properties of events have been checked. Only those of time zones have not.
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
  const problem = `has the DTEND ${end.time.toString()}, which is before the DTSTART ${start.time.toString()}; give a later DTEND`;
  throw new ICalendarError(endLine, end.time.toString(), problem);
}

/**
 * Returns the events that do not override an occurrence of another event. An overriding event is attached to the event
 * that it overrides. Cancelled events are left out.
 */
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

/** Returns the first and the last local day of an occurrence, both inclusive. The end of the occurrence is exclusive. */
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
