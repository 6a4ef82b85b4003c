import { isOpen } from "./calendar.ts";
import { nextLocalSecond } from "./next.ts";
import { type Schedule, zoneOf } from "./schedule.ts";
import { knownSecond, type Span, spanAt, toOffsets, type ZoneOffsets } from "./zone-offsets.ts";

/** How an offset change affects a fire time. */
export type OffsetNote = "GAP_SHIFTED" | "FIRST_OF_TWO" | "SECOND_OF_TWO";

/**
 * Tells how an offset change affects a fire time, on the clock of its schedule. Null if it does not.
 *
 * - GAP_SHIFTED: the wanted local time does not exist, so it fires at the end of the gap.
 * - FIRST_OF_TWO, SECOND_OF_TWO: its local time occurs twice.
 */
export function noteOffset(schedule: Schedule, atMs: number): OffsetNote | null {
  const second = knownSecond(atMs);
  const span = spanAt(zoneOf(schedule), second);
  const local = second + span.offset;
  if (second === span.start && span.offset > span.offsetBefore && !asksFor(schedule, local))
    return "GAP_SHIFTED";
  if (second < span.start + span.offsetBefore - span.offset) return "SECOND_OF_TWO";
  return second >= span.end - (span.offset - span.offsetAfter) ? "FIRST_OF_TWO" : null;
}

/** Whether the schedule asks for this local second itself, and not for one that a gap skips. */
function asksFor(schedule: Schedule, local: number): boolean {
  switch (schedule.kind) {
    case "cron":
      return nextLocalSecond(schedule.fields, local) === local;
    case "rate":
      return true;
    case "once":
      return schedule.localSecond === null || schedule.localSecond === local;
    case "calendarEdge": {
      // In UTC no clock changes, so the edges are exactly where the windows and dates put them.
      const onClock = { ...schedule.calendar, zone: toOffsets("UTC") };
      return isOpen(onClock, local * 1000) !== isOpen(onClock, (local - 1) * 1000);
    }
  }
}

/**
 * Yields the offset changes of a zone later than `fromMs` and up to `toMs`. Each is given as the span that begins
 * with it: the change is at `start`, from `offsetBefore` to `offset`.
 */
export function* offsetChanges(zone: ZoneOffsets, fromMs: number, toMs: number): Generator<Span> {
  const last = knownSecond(toMs);
  for (let second = knownSecond(fromMs); second <= last; ) {
    const span = spanAt(zone, second);
    second = span.end;
    if (second <= last && span.offsetAfter !== span.offset) yield spanAt(zone, second);
  }
}
