import { expect, test } from "vitest";
import { parseCalendar } from "./calendar-spec.ts";
import { MAX_PREVIEW, previewFireTimes } from "./preview.ts";
import { createRate } from "./rate.ts";
import { createCronSchedule, type Schedule } from "./schedule.ts";

function summary(schedules: Schedule[], after: string, count: number): string[] {
  return previewFireTimes({ schedules }, Date.parse(after), count).map(
    (fire) => `${fire.localTime}${fire.utcOffset} ${fire.notes.map((note) => note.code).join()}`,
  );
}

test("shows local time and offset, and notes what an offset change does", () => {
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

test("shows what calendars skip and defer", () => {
  const calendar = parseCalendar({
    timeZone: "Europe/Paris",
    windows: [{ days: ["MONDAY"], start: "09:00", end: "17:00" }],
    excludedDates: [],
  });
  const schedules = [createCronSchedule({ expression: "0 12 * * *", timeZone: "Europe/Paris" })];
  const after = Date.parse("2026-06-06T12:00:00Z");
  const preview = (outside: "SKIP" | "DEFER") =>
    previewFireTimes({ schedules, gates: [{ name: "office", calendar, outside }] }, after, 2).map((fire) => [
      fire.effectiveMs === null ? null : new Date(fire.effectiveMs).toISOString(),
      fire.notes.map((note) => note.text).join(),
    ]);
  expect(preview("SKIP")).toEqual([
    [null, "Skipped: the calendar office is closed."],
    ["2026-06-08T10:00:00.000Z", ""],
  ]);
  expect(preview("DEFER")).toEqual([
    ["2026-06-08T07:00:00.000Z", "Deferred: the calendar office is closed."],
    ["2026-06-08T10:00:00.000Z", ""],
  ]);
});

test("shows nominal and effective time of a job with a flexible window", () => {
  const schedules: Schedule[] = [{ kind: "rate", ...createRate(60_000, 0) }];
  const flexibleWindow = { jobUid: "job_1", windowMs: 30_000 };
  const [first, second] = previewFireTimes({ schedules, flexibleWindow }, 0, 2);
  const delay = (first?.effectiveMs ?? 0) - 60_000;
  expect(first).toMatchObject({ nominalMs: 60_000, localTime: "1970-01-01T00:01:00", utcOffset: "+00:00" });
  expect(delay).toBeGreaterThan(0);
  expect(delay).toBeLessThan(30_000);
  expect(second?.effectiveMs).toBe(120_000 + delay);
  expect(first?.notes).toEqual([
    { code: "DELAYED", text: `Delayed by ${delay} ms within its flexible window.` },
  ]);
});

test("ends with the schedule, its bounds, the count asked for and 1,000", () => {
  const daily = [createCronSchedule({ expression: "@daily" })];
  const bounds = { endMs: Date.UTC(2026, 0, 3) };
  expect(previewFireTimes({ schedules: daily, bounds }, Date.UTC(2026, 0, 1), 10)).toHaveLength(2);
  expect(previewFireTimes({ schedules: daily }, 0, 5_000)).toHaveLength(MAX_PREVIEW);
  expect(previewFireTimes({ schedules: [createCronSchedule({ expression: "0 0 30 2 *" })] }, 0, 5)).toEqual(
    [],
  );
  expect(previewFireTimes({ schedules: [] }, 0, 5)).toEqual([]);
});
