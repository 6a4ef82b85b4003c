import { DAY_SECONDS } from "./local-time.ts";

/** What is added to UTC at an instant (epoch seconds) to get local time, in seconds. */
export type OffsetReader = (second: number) => number;

/** A stretch of time during which one zone keeps one offset; all numbers are seconds. */
export type Span = Readonly<{
  /** First second (UTC) of the span. */
  start: number;
  /** First second (UTC) after the span. */
  end: number;
  /** What to add to UTC to get local time. */
  offset: number;
  /** The offset just before `start`; the same as `offset` where only the stretch looked at begins. */
  offsetBefore: number;
  /** The offset from `end` on. */
  offsetAfter: number;
}>;

/** By the offset that was left: at which second of the week (from 1970-01-01 on, UTC) that was done last. */
export type ChangeHints = Map<number, number>;

/** Less than the 6.96 days that are the shortest time for which a zone keeps an offset. */
const PROBE_SECONDS = 6 * DAY_SECONDS;
const WEEK_SECONDS = 7 * DAY_SECONDS;
const QUARTER_SECONDS = 900;
const MARGIN_SECONDS = 2 * DAY_SECONDS;

/**
 * Returns the spans that touch a stretch of time (epoch seconds, `to` exclusive), ascending. The first and the last end
 * where the stretch does, unless the change is at most two days further: a repeated or skipped part of local time must
 * not lose its beginning or end to where the stretch is cut.
 *
 * The stretch is probed every six days, and each change found is pinned to the second: where the hints, which are
 * written here too, expect it if it is there, and else by bisection. An offset kept for less than six days may be missed.
 */
export function findSpans(
  read: OffsetReader,
  from: number,
  to: number,
  hints: ChangeHints = new Map(),
): readonly Span[] {
  const spans: Span[] = [];
  let start = from;
  let probed = from - MARGIN_SECONDS;
  let offset = read(probed);
  let offsetBefore = offset;
  while (probed < to + MARGIN_SECONDS) {
    const next = Math.min(probed + PROBE_SECONDS, to + MARGIN_SECONDS);
    const offsetAfter = read(next);
    if (offsetAfter !== offset) {
      const change =
        expectedChange(read, probed, next, offset, hints) ?? findChange(read, probed, next, offset);
      hints.set(offset, change % WEEK_SECONDS);
      if (change > from) spans.push({ start, end: change, offset, offsetBefore, offsetAfter });
      if (change >= to) return spans;
      offsetBefore = offset;
      offset = offsetAfter;
      start = change;
    }
    probed = next;
  }
  return [...spans, { start, end: to, offset, offsetBefore, offsetAfter: offset }];
}

/** Returns the change between two probes if it is at the second of the week at which `offset` was left before. */
function expectedChange(
  read: OffsetReader,
  before: number,
  after: number,
  offset: number,
  hints: ChangeHints,
): number | undefined {
  const hint = hints.get(offset);
  if (hint === undefined) return undefined;
  const wait = (((hint - before) % WEEK_SECONDS) + WEEK_SECONDS) % WEEK_SECONDS;
  const change = before + (wait === 0 ? WEEK_SECONDS : wait);
  const isChange = change <= after && read(change - 1) === offset && read(change) !== offset;
  return isChange ? change : undefined;
}

/**
 * Returns the first second after `before` whose offset is not `offset`; that of `after` is known not to be. Nearly all
 * changes are at a quarter of an hour, so those are searched first.
 */
function findChange(read: OffsetReader, before: number, after: number, offset: number): number {
  const [low, high] = bisect(read, before, after, offset, QUARTER_SECONDS);
  return read(high - 1) === offset ? high : bisect(read, low, high, offset, 1)[1];
}

/** Halves a stretch at multiples of `step` from its start until it is one step long; the change is within. */
function bisect(
  read: OffsetReader,
  before: number,
  after: number,
  offset: number,
  step: number,
): [low: number, high: number] {
  let low = before;
  let high = after;
  while (high - low > step) {
    const middle = low + Math.floor((high - low) / step / 2) * step;
    if (read(middle) === offset) low = middle;
    else high = middle;
  }
  return [low, high];
}
