import { describe, expect, test } from "vitest";
import { parseCalendar } from "./calendar-spec.ts";
import { topsOfHour } from "./lint-crowd.ts";
import { createOnce } from "./once.ts";
import type { FirePlan } from "./preview.ts";
import { createRate } from "./rate.ts";
import { createCronSchedule, type Schedule } from "./schedule.ts";

describe("the top of an hour that topsOfHour finds", () => {
  const after = Date.parse("2026-01-01T07:40:00Z");
  const top = (schedule: Schedule, plan: Partial<FirePlan> = {}) => {
    const [first] = topsOfHour({ ...plan, schedules: [schedule] }, after);
    return first === undefined ? null : new Date(first.atMs).toISOString();
  };
  const topOf = (expression: string, timeZone = "UTC", plan: Partial<FirePlan> = {}) =>
    top(createCronSchedule({ expression, timeZone }), plan);
  const rate = (everyMs: number, anchorMs = 0) => top({ kind: "rate", ...createRate(everyMs, anchorMs) });

  test.each([
    ["0 5 * * *", "UTC", "2026-01-02T05:00:00.000Z"],
    ["*/30 * * * *", "UTC", "2026-01-01T08:00:00.000Z"],
    ["50,0 7 * * *", "UTC", "2026-01-02T07:00:00.000Z"],
    ["0 9 * * *", "Asia/Kolkata", "2026-01-02T03:30:00.000Z"],
    ["7 * * * *", "UTC", null],
    ["30 * * * *", "Asia/Kolkata", null],
    ["* * * * *", "UTC", null],
  ])("for %s in %s is its next fire time at minute 0 of the wall clock", (expression, timeZone, expected) => {
    expect(topOf(expression, timeZone)).toBe(expected);
  });

  test("exists for rates in step with the hour, and for a single time", () => {
    expect(rate(3_600_000)).toBe("2026-01-01T08:00:00.000Z");
    expect(rate(1_800_000)).toBe("2026-01-01T08:00:00.000Z");
    expect(rate(3_600_000, 60_000)).toBeNull();
    expect(rate(420_000)).toBeNull();
    expect(rate(60_000)).toBeNull();
    expect(top({ kind: "once", ...createOnce(Date.parse("2026-01-03T00:00:00Z")) })).toBe(
      "2026-01-03T00:00:00.000Z",
    );
  });

  test("is within the bounds and the calendars' hours, and does not exist with a flexible window", () => {
    const windows = [{ days: ["FRIDAY"], start: "09:15", end: "12:30" }];
    const calendar = parseCalendar({ timeZone: "UTC", windows, excludedDates: [] });
    for (const outside of ["SKIP", "DEFER"] as const) {
      const gates = [{ name: "fridays", outside, calendar }];
      expect(topOf("0 * * * *", "UTC", { gates })).toBe("2026-01-02T10:00:00.000Z");
      expect(topOf("0 9 * * *", "UTC", { gates })).toBeNull();
    }
    expect(topOf("0 * * * *", "UTC", { bounds: { endMs: after + 60_000 } })).toBeNull();
    expect(topOf("0 * * * *", "UTC", { flexibleWindow: { jobUid: "job_1", windowMs: 60_000 } })).toBeNull();
  });
});
