import { DAY_SECONDS } from "./local-time.ts";

/** Returns the offset at an instant (epoch seconds): what is added to UTC to get local time, in seconds. */
export type OffsetReader = (second: number) => number;

/** A period during which a zone keeps one offset. All numbers are seconds. */
export type Span = Readonly<{
  /** First second (UTC) of the span. */
  start: number;
  /** First second (UTC) after the span. */
  end: number;
  /** What to add to UTC to get local time. */
  offset: number;
  /** The offset just before `start`. The same as `offset` if the searched period begins here. */
  offsetBefore: number;
  /** The offset from `end` on. */
  offsetAfter: number;
}>;

/** For each offset: the second of the week (UTC, weeks from 1970-01-01 on) at which the zone last left it. */
export type ChangeHints = Map<number, number>;

/** Shorter than 6.96 days, the shortest time for which any zone keeps an offset. */
const PROBE_SECONDS = 6 * DAY_SECONDS;
const WEEK_SECONDS = 7 * DAY_SECONDS;
const QUARTER_SECONDS = 900;
const MARGIN_SECONDS = 2 * DAY_SECONDS;

/**
 * Returns the spans of a period (epoch seconds, `to` exclusive), ascending. The first span starts at `from` and the
 * last ends at `to`. But if the next change lies at most two days outside the period, the span extends to it, so that
 * a repeated or skipped part of local time is never cut.
 *
 * The offset is probed every six days. Between two probes with different offsets, the second of the change is found:
 * first where the hints expect it, else by bisection. The hints are updated. An offset that is kept for less than six
 * days may be missed.
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

/** Returns the change between two probes if it is at the second of the week that the hints expect, else undefined. */
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
 * Returns the first second after `before` whose offset is not `offset`. The caller knows that the offset at `after`
 * differs. Nearly all changes are at a quarter of an hour, so quarters are searched first.
 */
function findChange(read: OffsetReader, before: number, after: number, offset: number): number {
  const [low, high] = bisect(read, before, after, offset, QUARTER_SECONDS);
  return read(high - 1) === offset ? high : bisect(read, low, high, offset, 1)[1];
}

/** Halves the period that contains the change until it is one step long. It divides at multiples of `step` only. */
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
