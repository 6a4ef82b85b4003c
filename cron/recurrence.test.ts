import { expect, test } from "vitest";
import { DAY_SECONDS, dayOfDate, formatDate, formatLocal } from "./local-time.ts";
import { recurrencesOf } from "./recurrence.ts";
import type { RecurrenceRule } from "./recurrence-rule.ts";

// What rules mean is tested against python-dateutil and RFC 5545, with rules as they are written:
// scheduler/calendars/icalendar/rule.recurrence.test.ts.

const START_DAY = dayOfDate(2026, 5, 4);
const NONE = new Set<number>();
const daily: RecurrenceRule = {
  frequency: "DAILY",
  interval: 1,
  count: Number.POSITIVE_INFINITY,
  until: Number.POSITIVE_INFINITY,
  months: NONE,
  weeks: NONE,
  yearDays: NONE,
  monthDays: NONE,
  weekdays: [],
  hours: NONE,
  minutes: NONE,
  seconds: NONE,
  positions: NONE,
  weekStart: 1,
};

function daysOf(rule: RecurrenceRule, fromDay: number, lastDay: number): string[] {
  const seconds = recurrencesOf(rule, START_DAY * DAY_SECONDS, { fromDay, lastDay, spend: () => {} });
  return [...seconds].map((second) => formatDate(Math.floor(second / DAY_SECONDS)));
}

test("a recurrence without a count begins with the first day that is wanted, and one with a count at its start", () => {
  const everyOther = { ...daily, interval: 2 };
  expect(daysOf(everyOther, START_DAY + 3, START_DAY + 6)).toEqual(["2026-05-08", "2026-05-10"]);
  expect(daysOf({ ...everyOther, count: 3 }, START_DAY + 3, START_DAY + 6)).toEqual([
    "2026-05-04",
    "2026-05-06",
    "2026-05-08",
  ]);
});

test("a recurrence ends with the last day that is wanted when no date fits its rule", () => {
  const never = { ...daily, months: new Set([2]), monthDays: new Set([30]) };
  let spent = 0;
  const range = {
    fromDay: START_DAY,
    lastDay: START_DAY + 3_000,
    spend: (size: number) => {
      spent += size;
    },
  };
  expect([...recurrencesOf(never, START_DAY * DAY_SECONDS, range)]).toEqual([]);
  expect(spent).toBeGreaterThan(3_000);
});

test("a recurrence ends when the caller refuses more work", () => {
  const never = { ...daily, count: 1, monthDays: new Set([31]), months: new Set([4]) };
  let left = 100;
  const spend = (size: number) => {
    left -= size;
    if (left < 0) throw new Error("no more");
  };
  const range = { fromDay: START_DAY, lastDay: Number.POSITIVE_INFINITY, spend };
  expect(() => [...recurrencesOf(never, START_DAY * DAY_SECONDS, range)]).toThrow("no more");
});

test("a position is found in a year that has an occurrence in each second", () => {
  const all = (size: number) => new Set(Array.from({ length: size }, (_, index) => index));
  const rule: RecurrenceRule = {
    ...daily,
    frequency: "YEARLY",
    months: new Set(Array.from({ length: 12 }, (_, index) => index + 1)),
    monthDays: new Set(Array.from({ length: 31 }, (_, index) => index + 1)),
    hours: all(24),
    minutes: all(60),
    seconds: all(60),
    positions: new Set([-1]),
  };
  const range = { fromDay: START_DAY, lastDay: START_DAY + 700, spend: () => {} };
  const found = [...recurrencesOf(rule, START_DAY * DAY_SECONDS, range)];
  expect(found.map(formatLocal)).toEqual(["2026-12-31T23:59:59", "2027-12-31T23:59:59"]);
});
