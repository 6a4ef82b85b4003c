import { expect, test } from "vitest";
import { toIso } from "./iso-time.ts";

test("an instant has the text that Date gives it, whatever was formatted before", () => {
  const instants = [
    0, 1, 999, 1_000, -1, -1_000, -1_001, 1_780_000_000_123, 8.64e15, -8.64e15, 253_402_300_800_000,
  ];
  for (const base of instants) {
    for (const ms of [base, base, base + 7, base - 7]) {
      if (Math.abs(ms) <= 8.64e15) expect(toIso(ms)).toBe(new Date(ms).toISOString());
    }
  }
  for (let index = 0; index < 1_000; index++) {
    const ms = Math.floor(Math.random() * 4e12);
    expect([toIso(ms), toIso(ms)]).toEqual([new Date(ms).toISOString(), new Date(ms).toISOString()]);
  }
  expect(toIso(1_780_000_000_123.7)).toBe(new Date(1_780_000_000_123.7).toISOString());
});

test("an instant that a Date cannot hold is refused", () => {
  for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, 9e15]) expect(() => toIso(ms)).toThrow(RangeError);
});
