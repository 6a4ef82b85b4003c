import fc from "fast-check";
import { expect, test } from "vitest";
import { toIso } from "./iso-time.ts";

const LAST_MS = 8_640_000_000_000_000;

test("an instant is formatted as a Date formats it, whichever instants came before", () => {
  const near = fc.integer({ min: -100_000, max: 100_000 }).map((ms) => ms / 8);
  const any = fc.integer({ min: -LAST_MS, max: LAST_MS });
  fc.assert(
    fc.property(fc.array(fc.oneof(near, any), { minLength: 1, maxLength: 200 }), (instants) => {
      for (const ms of instants) expect(toIso(ms)).toBe(new Date(ms).toISOString());
    }),
  );
});

test("what is no instant is refused, also after instants of the same second", () => {
  toIso(LAST_MS);
  for (const wrong of [LAST_MS + 1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => toIso(wrong)).toThrow(RangeError);
  }
});
