import { DAY_SECONDS, formatDate } from "../../../cron/local-time.ts";
import { zoneOffsets } from "../../../cron/zone-offsets.ts";
import { createBudget, spendOccurrence, spendSteps } from "./budget.ts";
import { readComponents } from "./components.ts";
import { type Occurrence, readEvent } from "./event.ts";
import { readLines } from "./lines.ts";
import { type Clocks, localIn } from "./moments.ts";
import { occurrencesOf } from "./occurrences.ts";
import { seriesOf } from "./series.ts";
import { onlyZone, readZones } from "./zones.ts";

/** How many days before and after the import are searched for events: one year and five years. */
const BACK_DAYS = 366;
const AHEAD_DAYS = 5 * 366;

/** What an import needs besides the text. */
export interface ImportOptions {
  /** The zone of the calendar. The dates are local dates of this zone. */
  readonly timeZone: string;
  /** When the import happens, in epoch milliseconds. */
  readonly nowMs: number;
}

/**
 * Returns the local dates on which the events of an iCalendar text (RFC 5545) take place, as dates and ranges in order:
 * for example `2026-12-25` and `2026-12-28/2026-12-31`. A date counts if an event touches it in the calendar's zone. The
 * dates lie between one year before the import and five years after it.
 *
 * Recurrence rules, EXDATE, RDATE and overridden occurrences are followed. Cancelled events are left out. Throws an
 * ICalendarError.
 *
 * The work has a limit (budget.ts), but it may take a second or two. So call this in a thread of its own only (import.ts).
 */
export function importDates(text: string, { timeZone, nowMs }: ImportOptions): string[] {
  const objects = readComponents(readLines(text));
  const today = Math.floor(nowMs / 86_400_000);
  const firstDay = today - BACK_DAYS;
  const lastDay = today + AHEAD_DAYS;
  const budget = createBudget();
  const zones = readZones(objects, { lastDay: lastDay + 366, budget });
  const clocks: Clocks = { calendar: zoneOffsets(timeZone), only: onlyZone(zones) };
  const events = zones.flatMap((each) => each.object.events.map((event) => readEvent(event, each, clocks)));
  const marks = new Int32Array(lastDay - firstDay + 2);
  for (const series of seriesOf(events, clocks)) {
    const { line } = series.main;
    const spend = (steps: number) => spendSteps(budget, steps, line, "VEVENT");
    for (const occurrence of occurrencesOf(series, { clocks, firstDay, lastDay, spend })) {
      spendOccurrence(budget, line, "VEVENT");
      const [first, last] = daysOf(occurrence, clocks);
      mark(marks, Math.max(first, firstDay) - firstDay, Math.min(last, lastDay) - firstDay);
    }
  }
  return toRanges(marks, firstDay);
}

/** Returns the first and the last local day of an occurrence, both inclusive. The end of the occurrence is exclusive. */
function daysOf({ start, end }: Occurrence, { calendar }: Clocks): [number, number] {
  const first = localIn(calendar, start);
  const last = Math.max(first, localIn(calendar, end) - 1);
  return [Math.floor(first / DAY_SECONDS), Math.floor(last / DAY_SECONDS)];
}

/** Marks the days from `first` to `last`. The sum of the marks up to a day is how many occurrences touch it. */
function mark(marks: Int32Array, first: number, last: number): void {
  if (first > last) return;
  marks[first] = (marks[first] ?? 0) + 1;
  marks[last + 1] = (marks[last + 1] ?? 0) - 1;
}

function toRanges(marks: Int32Array, firstDay: number): string[] {
  const ranges: string[] = [];
  let touching = 0;
  let since = 0;
  for (const [index, change] of marks.entries()) {
    if (touching === 0 && change > 0) since = index;
    if (touching > 0 && touching + change === 0)
      ranges.push(formatRange(firstDay + since, firstDay + index - 1));
    touching += change;
  }
  return ranges;
}

function formatRange(first: number, last: number): string {
  return first === last ? formatDate(first) : `${formatDate(first)}/${formatDate(last)}`;
}
