import fc from "fast-check";
import { expect, test } from "vitest";
import { dateOfDay, dayOfDate, daysInMonth, formatLocal, formatOffset, weekdayOf } from "./local-time.ts";

test("the calendar arithmetic agrees with Date on every day of the years 1600 to 2800", () => {
  fc.assert(
    fc.property(fc.integer({ min: -135_140, max: 303_500 }), (day) => {
      const date = new Date(day * 86_400_000);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() + 1];
      const packed = dateOfDay(day);
      expect([packed >> 9, (packed >> 5) & 15, packed & 31]).toEqual([year, month, date.getUTCDate()]);
      expect(dayOfDate(year, month, date.getUTCDate())).toBe(day);
      expect(weekdayOf(day)).toBe(date.getUTCDay());
      expect(daysInMonth(year, month)).toBe(new Date(Date.UTC(year, month, 0)).getUTCDate());
      expect(formatLocal(day * 86_400 + 3_723)).toBe(`${date.toISOString().slice(0, 10)}T01:02:03`);
    }),
    { numRuns: 3_000 },
  );
});

test.each([
  [0, "+00:00"],
  [19_800, "+05:30"],
  [-12_600, "-03:30"],
  [45_900, "+12:45"],
  [-2_670, "-00:44:30"],
])("formatOffset writes %i seconds as %s", (seconds, text) => {
  expect(formatOffset(seconds)).toBe(text);
});
