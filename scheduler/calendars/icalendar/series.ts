import { DAY_SECONDS } from "../../../cron/local-time.ts";
import type { CalendarEvent } from "./event.ts";
import { wrong } from "./lines.ts";
import { type Clocks, dateOf, localIn, type Moment, timeOfDay } from "./moments.ts";

/** An event and the events that override some of its occurrences. */
export interface Series {
  readonly main: CalendarEvent;
  /** By the occurrence that they override: the local second at which it would start, on the clock of the main event. */
  readonly overrides: ReadonlyMap<number, readonly CalendarEvent[]>;
}

/**
 * Groups the events of a text by UID. Of the events of one UID, and of those that override one of its occurrences, only
 * those with the highest SEQUENCE count: they replace the others. Cancelled events are left out, and so is everything
 * that overrides them. Throws an ICalendarError if an event both overrides an occurrence and recurs itself.
 */
export function seriesOf(events: readonly CalendarEvent[], clocks: Clocks): Series[] {
  const byUid = new Map<string, CalendarEvent[]>();
  const series: Series[] = [];
  for (const event of events) {
    if (event.uid === "") series.push(alone(event));
    else byUid.set(event.uid, [...(byUid.get(event.uid) ?? []), event]);
  }
  for (const group of byUid.values()) {
    const [main, ...others] = newest(group.filter(({ overrides }) => overrides === undefined));
    const parts = group.filter(({ overrides }) => overrides !== undefined);
    if (main === undefined) series.push(...parts.map(alone));
    else series.push({ main, overrides: overridesOf(main, parts, clocks) }, ...others.map(alone));
  }
  return series.filter(({ main }) => !main.isCancelled);
}

/**
 * Writes a date or date-time of another property the way the start of an event is written, as a local second: as a date
 * if the start is a date, else on the clock of the start. A date means the time of day of the start.
 */
export function alignTo(start: Moment, moment: Moment, clocks: Clocks): number {
  if (start.isDate) return dateOf(moment, clocks);
  return moment.isDate ? moment.local + timeOfDay(start.local) : localIn(start.zone, moment);
}

/** Returns the last local second at which a rule may recur, on the clock of the start. A date counts to its end. */
export function lastSecondOf(start: Moment, until: Moment, clocks: Clocks): number {
  if (!start.isDate && until.isDate) return until.local + DAY_SECONDS - 1;
  return alignTo(start, until, clocks);
}

function alone(main: CalendarEvent): Series {
  return { main, overrides: new Map() };
}

function overridesOf(
  main: CalendarEvent,
  parts: readonly CalendarEvent[],
  clocks: Clocks,
): Map<number, CalendarEvent[]> {
  const overrides = new Map<number, CalendarEvent[]>();
  for (const part of parts) {
    if (part.overrides === undefined) continue;
    if (part.recurrence !== undefined)
      throw wrong(
        part.recurrence,
        "recurs, but its event overrides one occurrence of another; remove this line",
      );
    const local = alignTo(main.start, part.overrides, clocks);
    overrides.set(local, [...(overrides.get(local) ?? []), part]);
  }
  for (const [local, group] of overrides) overrides.set(local, newest(group));
  return overrides;
}

/** Returns the events with the highest SEQUENCE. */
function newest(events: readonly CalendarEvent[]): CalendarEvent[] {
  const highest = events.reduce((most, { sequence }) => Math.max(most, sequence), 0);
  return events.filter(({ sequence }) => sequence === highest);
}
