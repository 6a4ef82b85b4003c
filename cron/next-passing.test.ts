import { describe, expect, test } from "vitest";
import type { CalendarGate } from "./calendar-gate.ts";
import { type CalendarSpec, parseCalendar } from "./calendar-spec.ts";
import { nextPassing } from "./next-passing.ts";
import { createCronSchedule } from "./schedule.ts";

// A Thursday.
const START = Date.parse("2026-01-01T00:00:00Z");

const EVERY_DAY = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];

function gate(
  spec: Partial<CalendarSpec> & { days?: string[] },
  outside: "SKIP" | "DEFER" = "SKIP",
): CalendarGate {
  const { days = EVERY_DAY, ...rest } = spec;
  const windows = [{ days, start: "09:00", end: "10:00" }];
  const calendar = parseCalendar({ timeZone: "UTC", windows, excludedDates: [], ...rest });
  return { name: "morning", outside, calendar };
}

function plan(expression: string, ...gates: CalendarGate[]) {
  return { schedules: [createCronSchedule({ expression })], gates };
}

function find(...args: Parameters<typeof nextPassing>) {
  const { atMs, openingMs, skippedMs } = nextPassing(...args);
  return [atMs, openingMs, skippedMs].map((ms) => (ms === null ? null : new Date(ms).toISOString()));
}

describe("the next fire time that passes", () => {
  test("is the next one without calendars, however far", () => {
    expect(find(plan("0 12 * * *"), START)).toEqual(["2026-01-01T12:00:00.000Z", null, null]);
    const far = { ...plan("0 12 * * *"), bounds: { startMs: Date.parse("2050-01-01T00:00:00Z") } };
    expect(find(far, START)[0]).toBe("2050-01-01T12:00:00.000Z");
  });

  test("comes after those that a closed calendar skips, which are one step until it opens", () => {
    const everyMinute = plan("* * * * *", gate({}));
    const after = Date.parse("2026-01-01T09:59:00Z");
    expect(nextPassing(everyMinute, after)).toMatchObject({
      atMs: Date.parse("2026-01-02T09:00:00Z"),
      closed: ["morning"],
      steps: 2,
    });
  });

  test("keeps its nominal time when it is deferred, and is a later one if another fire time waits for that opening", () => {
    const hourly = plan("0 * * * *", gate({}, "DEFER"));
    const after = Date.parse("2026-01-01T10:30:00Z");
    const opening = Date.parse("2026-01-02T09:00:00Z");
    expect(find(hourly, after).slice(0, 2)).toEqual(["2026-01-01T11:00:00.000Z", "2026-01-02T09:00:00.000Z"]);
    expect(find(hourly, after, { takenMs: opening })[0]).toBe("2026-01-02T09:00:00.000Z");
  });

  test("is null if every checked fire time is skipped", () => {
    expect(find(plan("0 12 * * *", gate({})), START)).toEqual([null, null, "2027-01-01T12:00:00.000Z"]);
    expect(find(plan("0 12 * * *", gate({})), START, { steps: 2 })[2]).toBe("2026-01-02T12:00:00.000Z");
    const sundays = plan("30 9 * * 0", gate({ days: ["MONDAY"] }));
    expect(find(sundays, START, { steps: 5_000 })[0]).toBeNull();
    const shut = plan("30 9 * * 0", gate({ excludedDates: ["--01-01/--12-31"] }, "DEFER"));
    expect(nextPassing(shut, START)).toMatchObject({ atMs: null, steps: 1 });
  });
});
