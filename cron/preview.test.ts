import { expect, test } from "vitest";
import { parseCalendar } from "./calendar-spec.ts";
import { createOnce, createOnceLocal } from "./once.ts";
import { showFireTime } from "./preview.ts";
import { createRate } from "./rate.ts";
import { type Bounds, createCronSchedule, nextOf, type Schedule } from "./schedule.ts";

function summary(schedules: Schedule[], after: string, count: number, bounds: Bounds = {}): string[] {
  const shown: string[] = [];
  let atMs = nextOf(schedules, Date.parse(after), bounds);
  for (; atMs !== null && shown.length < count; atMs = nextOf(schedules, atMs, bounds)) {
    const { localTime, utcOffset, note } = showFireTime({ schedules, bounds }, atMs);
    shown.push(`${localTime}${utcOffset} ${note?.code ?? ""}`);
  }
  return shown;
}

test("showFireTime shows local time and offset, and notes how an offset change affects it", () => {
  const zone = { timeZone: "America/New_York" };
  expect(
    summary([createCronSchedule({ expression: "30 2 * * *", ...zone })], "2026-03-08T00:00:00Z", 2),
  ).toEqual(["2026-03-08T03:00:00-04:00 GAP_SHIFTED", "2026-03-09T02:30:00-04:00 "]);
  expect(
    summary([createCronSchedule({ expression: "30 1 * * *", ...zone })], "2026-11-01T00:00:00Z", 2),
  ).toEqual(["2026-11-01T01:30:00-04:00 FIRST_OF_TWO", "2026-11-02T01:30:00-05:00 "]);
  expect(
    summary([createCronSchedule({ expression: "@hourly", ...zone })], "2026-11-01T04:00:00Z", 3),
  ).toEqual([
    "2026-11-01T01:00:00-04:00 FIRST_OF_TWO",
    "2026-11-01T01:00:00-05:00 SECOND_OF_TWO",
    "2026-11-01T02:00:00-05:00 ",
  ]);
  expect(
    summary([createCronSchedule({ expression: "0 2,3 * * *", ...zone })], "2026-03-08T00:00:00Z", 1),
  ).toEqual(["2026-03-08T03:00:00-04:00 "]);
});

test("showFireTime shows a one-shot in its zone, and notes a local time that does not exist or occurs twice", () => {
  const once = (localTime: string): Schedule => ({
    kind: "once",
    ...createOnceLocal(localTime, "Europe/Paris"),
  });
  expect(summary([once("2027-07-01T09:00:00")], "2026-01-01T00:00:00Z", 1)).toEqual([
    "2027-07-01T09:00:00+02:00 ",
  ]);
  expect(summary([once("2027-03-28T02:30:00")], "2026-01-01T00:00:00Z", 1)).toEqual([
    "2027-03-28T03:00:00+02:00 GAP_SHIFTED",
  ]);
  expect(summary([once("2027-03-28T03:00:00")], "2026-01-01T00:00:00Z", 1)).toEqual([
    "2027-03-28T03:00:00+02:00 ",
  ]);
  expect(summary([once("2027-10-31T02:30:00")], "2026-01-01T00:00:00Z", 1)).toEqual([
    "2027-10-31T02:30:00+02:00 FIRST_OF_TWO",
  ]);
  const instant: Schedule = {
    kind: "once",
    ...createOnce(Date.parse("2027-03-28T01:00:00Z"), "Europe/Paris"),
  };
  expect(summary([instant], "2026-01-01T00:00:00Z", 1)).toEqual(["2027-03-28T03:00:00+02:00 "]);
});

test("showFireTime shows a rate in its zone", () => {
  const daily: Schedule = {
    kind: "rate",
    ...createRate(86_400_000, Date.parse("2026-10-24T00:30:00Z"), "Europe/Paris"),
  };
  expect(summary([daily], "2026-10-24T00:30:00Z", 2)).toEqual([
    "2026-10-25T02:30:00+02:00 FIRST_OF_TWO",
    "2026-10-26T01:30:00+01:00 ",
  ]);
  const utc: Schedule = { kind: "rate", ...createRate(60_000, 0) };
  expect(summary([utc], "1970-01-01T00:00:00Z", 1)).toEqual(["1970-01-01T00:01:00+00:00 "]);
});

test("showFireTime shows the edges of a calendar in its zone, and notes those that an offset change moves", () => {
  const edge = (start: string, end: string): Schedule => ({
    kind: "calendarEdge",
    edge: "OPENS",
    calendar: parseCalendar({
      timeZone: "Europe/Paris",
      windows: [{ days: ["SUNDAY"], start, end }],
      excludedDates: [],
    }),
  });
  expect(summary([edge("02:30", "05:00")], "2026-10-24T00:00:00Z", 2)).toEqual([
    "2026-10-25T02:30:00+02:00 FIRST_OF_TWO",
    "2026-10-25T02:30:00+01:00 SECOND_OF_TWO",
  ]);
  expect(summary([edge("02:30", "05:00")], "2026-03-28T00:00:00Z", 1)).toEqual([
    "2026-03-29T03:00:00+02:00 GAP_SHIFTED",
  ]);
  expect(summary([edge("03:00", "05:00")], "2026-03-28T00:00:00Z", 1)).toEqual([
    "2026-03-29T03:00:00+02:00 ",
  ]);
});

test("showFireTime shows an instant of several schedules in the zone of the first schedule that has it", () => {
  const schedules = [
    createCronSchedule({ expression: "0 7 * * *" }),
    createCronSchedule({ expression: "0 9 * * *", timeZone: "Europe/Paris" }),
  ];
  expect(summary(schedules, "2026-07-01T00:00:00Z", 1)).toEqual(["2026-07-01T07:00:00+00:00 "]);
  expect(summary(schedules.reverse(), "2026-07-01T00:00:00Z", 1)).toEqual(["2026-07-01T09:00:00+02:00 "]);
  const bounds = { startMs: Date.UTC(2026, 6, 2, 7) };
  expect(summary(schedules, "2026-07-01T00:00:00Z", 1, bounds)).toEqual(["2026-07-02T09:00:00+02:00 "]);
});
