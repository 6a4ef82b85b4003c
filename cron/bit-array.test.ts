import fc from "fast-check";
import { expect, test } from "vitest";
import { addBits, createBits, hasBit, keepRotated, nextBit, nextGap } from "./bit-array.ts";

const SIZE = 160;
const range = fc.tuple(fc.integer({ min: -40, max: SIZE + 40 }), fc.integer({ min: -40, max: SIZE + 40 }));
const ranges = fc.array(range, { maxLength: 4 });
const numbers = Array.from({ length: SIZE }, (_, n) => n);

function setOf(parts: [number, number][]) {
  const bits = createBits(SIZE);
  for (const [first, end] of parts) addBits(bits, first, end);
  return { bits, has: (n: number) => parts.some(([first, end]) => n >= first && n < end) };
}

test("a bit array holds the added numbers, and finds the next number in it and the next one that is not", () => {
  fc.assert(
    fc.property(ranges, (parts) => {
      const { bits, has } = setOf(parts);
      for (const n of numbers) {
        expect(hasBit(bits, n)).toBe(has(n));
        expect(nextBit(bits, n)).toBe(numbers.findIndex((other) => other >= n && has(other)));
        expect(nextGap(bits, n)).toBe(numbers.findIndex((other) => other >= n && !has(other)));
      }
      expect([nextBit(bits, SIZE), nextGap(bits, SIZE)]).toEqual([-1, -1]);
    }),
  );
});

test("keepRotated keeps what is also in the other set after its rotation", () => {
  fc.assert(
    fc.property(ranges, ranges, fc.integer({ min: 0, max: SIZE - 1 }), (parts, others, by) => {
      const [one, other] = [setOf(parts), setOf(others)];
      const left = numbers.filter((n) => one.has(n) && other.has((n + by) % SIZE));
      expect(keepRotated(one.bits, other.bits, by)).toBe(left.length > 0);
      expect(numbers.filter((n) => hasBit(one.bits, n))).toEqual(left);
    }),
  );
});
