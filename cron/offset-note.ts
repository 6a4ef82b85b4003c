import { nextLocalSecond } from "./next.ts";
import type { Schedule } from "./schedule.ts";
import { knownSecond, type Span, spanAt, type ZoneOffsets } from "./zone-offsets.ts";

/** What an offset change has done to a fire time. */
export type OffsetNote = "GAP_SHIFTED" | "FIRST_OF_TWO" | "SECOND_OF_TWO";

/**
 * Tells what an offset change has done to a fire time of a cron schedule: GAP_SHIFTED if its local time was skipped and
 * it fires at the end of the gap, FIRST_OF_TWO or SECOND_OF_TWO if its local time comes twice. Null for all others.
 */
export function noteOffset(schedule: Schedule, atMs: number): OffsetNote | null {
  if (schedule.kind !== "cron") return null;
  const second = knownSecond(atMs);
  const span = spanAt(schedule.zone, second);
  const local = second + span.offset;
  if (second === span.start && nextLocalSecond(schedule.fields, local) !== local) return "GAP_SHIFTED";
  if (second < span.start + span.offsetBefore - span.offset) return "SECOND_OF_TWO";
  return second >= span.end - (span.offset - span.offsetAfter) ? "FIRST_OF_TWO" : null;
}

/**
 * Yields the offset changes of a zone later than `fromMs` and up to `toMs`, each as the span that begins with it: at
 * `start`, from `offsetBefore` to `offset`.
 */
export function* offsetChanges(zone: ZoneOffsets, fromMs: number, toMs: number): Generator<Span> {
  const last = knownSecond(toMs);
  for (let second = knownSecond(fromMs); second <= last; ) {
    const span = spanAt(zone, second);
    second = span.end;
    if (second <= last && span.offsetAfter !== span.offset) yield spanAt(zone, second);
  }
}
