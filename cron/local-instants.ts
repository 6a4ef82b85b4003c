import { type DstPolicy, LONGEST_GAP_SECONDS } from "./dst-policy.ts";
import { DAY_SECONDS } from "./local-time.ts";
import { FIRST_SECOND, LAST_SECOND, type Span, spanAt, toOffsets, type Zone } from "./zone-offsets.ts";

/**
 * Returns the instants (epoch seconds, ascending) at which something that is due at one local second of a zone fires:
 *
 * - usually one;
 * - none in a gap with the policy SKIP, or in a gap of more than three hours;
 * - two in an overlap with the policy BOTH.
 *
 * Throws a RangeError outside the years 1900 to 2400 and within a day of their ends.
 */
export function instantsOfLocal(zone: Zone, localSecond: number, dst: DstPolicy): number[] {
  const passes: number[] = [];
  let gapEnd: number | undefined;
  for (const span of spansAround(zone, localSecond)) {
    const instant = localSecond - span.offset;
    if (instant >= span.start && instant < span.end && !passes.includes(instant)) passes.push(instant);
    const jump = span.offset - span.offsetBefore;
    const inGap = instant < span.start && localSecond - span.offsetBefore >= span.start;
    if (inGap && jump <= LONGEST_GAP_SECONDS) gapEnd = span.start;
  }
  if (passes.length === 0) return dst.gap === "FIRE_AT_END" && gapEnd !== undefined ? [gapEnd] : [];
  if (dst.overlap === "BOTH") return passes;
  return dst.overlap === "FIRST" ? passes.slice(0, 1) : passes.slice(-1);
}

/** The spans in which a local second can lie. No offset is more than a day away from UTC. */
function spansAround(zone: Zone, localSecond: number): Span[] {
  const first = localSecond - DAY_SECONDS;
  if (!(first >= FIRST_SECOND && localSecond + DAY_SECONDS <= LAST_SECOND)) {
    throw new RangeError(`The local time (${localSecond} s) is not in the years 1900 to 2400.`);
  }
  const offsets = toOffsets(zone);
  const spans = [spanAt(offsets, first)];
  for (let last = spans[0]; last !== undefined && last.end <= localSecond + DAY_SECONDS; ) {
    last = spanAt(offsets, last.end);
    spans.push(last);
  }
  return spans;
}
