import fc from "fast-check";
import { expect, test } from "vitest";
import { type ChangeHints, findSpans, type OffsetReader } from "./find-spans.ts";
import { DAY_SECONDS } from "./local-time.ts";

const FROM = Date.UTC(2027, 2, 1) / 1000;
const TO = Date.UTC(2027, 3, 1) / 1000;

/** A zone whose offset is `offsets[n]` from `changes[n - 1]` on. */
function zoneWith(changes: readonly number[], offsets: readonly number[]): OffsetReader {
  return (second) => offsets[changes.filter((change) => change <= second).length] ?? 0;
}

test("findSpans finds an offset that is kept for little more than six days, wherever it is", () => {
  const start = fc.integer({ min: FROM - 10 * DAY_SECONDS, max: TO + 10 * DAY_SECONDS });
  fc.assert(
    fc.property(start, fc.integer({ min: 1, max: DAY_SECONDS }), (first, more) => {
      const changes = [first, first + 6 * DAY_SECONDS + more];
      const read = zoneWith(changes, [3_600, 7_200, 3_600]);
      const spans = findSpans(read, FROM, TO);
      const inside = changes.filter((change) => change > FROM && change < TO);
      expect(spans.slice(1).map((span) => span.start)).toEqual(inside);
      for (const span of spans) expect(read(Math.max(span.start, FROM))).toBe(span.offset);
    }),
  );
});

test("findSpans finds the second of a change, whatever the hints expect", () => {
  const change = fc.integer({ min: FROM + 1, max: TO - 1 });
  fc.assert(
    fc.property(change, fc.integer({ min: -1, max: 7 * DAY_SECONDS }), (at, hint) => {
      const hints: ChangeHints = new Map(hint < 0 ? [] : [[3_600, hint]]);
      const spans = findSpans(zoneWith([at], [3_600, 7_200]), FROM, TO, hints);
      expect(spans).toEqual([
        { start: FROM, end: at, offset: 3_600, offsetBefore: 3_600, offsetAfter: 7_200 },
        { start: at, end: TO, offset: 7_200, offsetBefore: 3_600, offsetAfter: 7_200 },
      ]);
      expect(hints.get(3_600)).toBe(at % (7 * DAY_SECONDS));
    }),
  );
});

test("findSpans reads seven offsets for a month without a change, and two more for a change that the hints expect", () => {
  const sunday = Date.UTC(2027, 2, 28, 1) / 1000;
  const hints: ChangeHints = new Map();
  const countReads = (read: OffsetReader): number => {
    let reads = 0;
    const counted: OffsetReader = (second) => {
      reads += 1;
      return read(second);
    };
    findSpans(counted, FROM, TO, hints);
    return reads;
  };
  expect(countReads(() => 3_600)).toBe(7);
  countReads(zoneWith([sunday - 7 * DAY_SECONDS], [3_600, 7_200]));
  expect(countReads(zoneWith([sunday], [3_600, 7_200]))).toBe(9);
});
