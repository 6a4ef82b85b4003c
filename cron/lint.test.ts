import { describe, expect, test } from "vitest";
import type { CalendarGate } from "./calendar-gate.ts";
import { parseCalendar } from "./calendar-spec.ts";
import { lintPlan } from "./lint.ts";
import { createOnceLocal } from "./once.ts";
import type { FirePlan } from "./preview.ts";
import { createRate } from "./rate.ts";
import { createCronSchedule, type Schedule } from "./schedule.ts";

const nowMs = Date.parse("2026-01-01T00:00:00Z");

function codes(expression: string, timeZone = "UTC"): string[] {
  const schedules = [createCronSchedule({ expression, timeZone })];
  return lintPlan({ plan: { schedules }, afterMs: nowMs }).map((warning) => warning.code);
}

describe("lintPlan, for an expression,", () => {
  test.each<[string, string[]]>([
    ["0 9 * * 1-5", []],
    ["*/15 * * * *", []],
    ["0 */6 * * *", []],
    ["0 0 L * *", []],
    ["0 0 28-31 * *", []],
    ["0 0 31 1,3,5 *", []],
    ["@weekly", []],
    ["* * 31 2 *", ["NEVER_FIRES", "MONTH_END_GAP"]],
    ["0 0 13 * FRI", ["DAY_OF_MONTH_OR_WEEKDAY"]],
    ["*/7 * * * *", ["STEP_RESTARTS"]],
    ["0 */5 * * *", ["STEP_RESTARTS"]],
    ["0 0 */2 * *", ["STEP_RESTARTS"]],
    ["0 0 * * */2", ["STEP_RESTARTS"]],
    ["0 0 1 */5 *", ["STEP_RESTARTS"]],
    ["0-59/7 * * * *", ["STEP_RESTARTS"]],
    ["1-59/7 * * * *", ["STEP_RESTARTS"]],
    ["*/7,3 * * * *", ["STEP_RESTARTS"]],
    ["H(0-29)/7 * * * *", []],
    ["0 9-17/2 * * *", []],
    ["0-30/10 * * * *", []],
    ["*/40 * * * *", ["STEP_RESTARTS"]],
    ["0 0-23/5 * * *", ["STEP_RESTARTS"]],
    ["0 0 1-31/30 * *", ["STEP_RESTARTS", "MONTH_END_GAP"]],
    ["0 0 */7,31 * *", ["STEP_RESTARTS", "MONTH_END_GAP"]],
    ["0-59/15 * * * *", []],
    ["0,20/20 */4 * * *", []],
    ["H/20 * * * *", []],
    ["0 0 31 * *", ["MONTH_END_GAP"]],
    ["0 0 15,30 * *", ["MONTH_END_GAP"]],
    ["0 0 29 2 *", ["MONTH_END_GAP"]],
    ["0 0 31W * *", ["MONTH_END_GAP"]],
    ["0 0 L-30 * *", ["MONTH_END_GAP"]],
  ])("finds in %s the warnings %j", (expression, expected) => {
    expect(codes(expression)).toEqual(expected);
  });

  test("names the last interval of a step that starts again", () => {
    const plan = {
      schedules: [createCronSchedule({ expression: "30 0-59/7 * * * *", dialect: "WITH_SECONDS" })],
    };
    expect(lintPlan({ plan, afterMs: nowMs })).toEqual([
      {
        code: "STEP_RESTARTS",
        field: "schedules[0].cron.expression",
        message:
          "0-59/7 in the minute field starts again with every hour, so the last interval of the hour is 4, not 7. For equal intervals use a rate schedule.",
      },
    ]);
  });

  test("names the months that lack a day", () => {
    const plan = { schedules: [createCronSchedule({ expression: "0 0 30 1-4 *" })] };
    const [warning] = lintPlan({ plan, afterMs: nowMs });
    expect(warning?.field).toBe("schedules[0].cron.expression");
    expect(warning?.message).toContain("do not exist in February, so");
  });
});

test("lintPlan names the offset changes of the next two years that affect a schedule", () => {
  const messages = (expression: string, dst = {}) =>
    lintPlan({
      plan: { schedules: [createCronSchedule({ expression, timeZone: "Europe/Paris", dst })] },
      afterMs: nowMs,
    }).map((warning) => `${warning.field} ${warning.message}`);
  expect(messages("30 2 * * *")).toEqual([
    "schedules[0].timeZone On 2026-03-29 in Europe/Paris the local times 02:00 to 03:00 do not exist: the schedule fires once, at the end of the gap.",
    "schedules[0].timeZone On 2026-10-25 in Europe/Paris the local times 02:00 to 03:00 occur twice: the schedule fires the first time.",
    "schedules[0].timeZone On 2027-03-28 in Europe/Paris the local times 02:00 to 03:00 do not exist: the schedule fires once, at the end of the gap.",
    "schedules[0].timeZone On 2027-10-31 in Europe/Paris the local times 02:00 to 03:00 occur twice: the schedule fires the first time.",
  ]);
  expect(messages("30 2 29 3 *", { gap: "SKIP" })).toEqual([
    "schedules[0].timeZone On 2026-03-29 in Europe/Paris the local times 02:00 to 03:00 do not exist: the schedule does not fire then.",
  ]);
  expect(messages("*/30 2 25 10 *")).toEqual([
    "schedules[0].timeZone On 2026-10-25 in Europe/Paris the local times 02:00 to 03:00 occur twice: the schedule fires both times.",
  ]);
  expect(messages("0 9 * * *")).toEqual([]);
  expect(messages("*/10 * * * *")).toEqual([]);
});

test("lintPlan warns about bounds without a fire time, and about calendars that never open, alone or together", () => {
  const schedules = [createCronSchedule({ expression: "@daily" })];
  const fields = (plan: Parameters<typeof lintPlan>[0]["plan"]) =>
    lintPlan({ plan, afterMs: nowMs }).map((warning) => `${warning.code} ${warning.field}`);
  const on = (day: string, excludedDates: string[] = []) =>
    parseCalendar({
      timeZone: "UTC",
      windows: [{ days: [day], start: "09:00", end: "10:00" }],
      excludedDates,
    });
  expect(fields({ schedules, bounds: { endMs: nowMs } })).toEqual(["NEVER_FIRES schedules[0]"]);
  const closed = { name: "closed", calendar: on("MONDAY", ["--01-01/--12-31"]), outside: "SKIP" as const };
  expect(fields({ schedules, gates: [closed] })).toEqual(["NEVER_FIRES calendars[0]"]);
  const gates = [
    { name: "a", calendar: on("MONDAY"), outside: "SKIP" as const },
    { name: "b", calendar: on("FRIDAY"), outside: "SKIP" as const },
  ];
  expect(fields({ schedules, gates })).toEqual(["NEVER_FIRES calendars"]);
  expect(fields({ schedules: [] })).toEqual([]);
});

describe("schedules of which the calendars skip every fire time", () => {
  const daily = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
  const gate = (days: string[], outside: "SKIP" | "DEFER" = "SKIP") => {
    const windows = [{ days, start: "09:00", end: "10:00" }];
    return {
      name: "morning",
      outside,
      calendar: parseCalendar({ timeZone: "UTC", windows, excludedDates: [] }),
    };
  };
  const lint = (expressions: string[], gates: CalendarGate[]) => {
    const schedules = expressions.map((expression) => createCronSchedule({ expression }));
    return lintPlan({ plan: { schedules, gates }, afterMs: nowMs }).map(
      ({ code, field, message }) => `${code} ${field} ${message}`,
    );
  };

  test("get a warning that says until when, and which calendars skip", () => {
    expect(lint(["30 9 * * *", "0 12 * * *"], [gate(daily)])).toEqual([
      "NEVER_FIRES schedules[1] All fire times of the schedule until 2028-09-26T12:00:00.000Z are skipped, because they are outside the hours of morning.",
    ]);
    expect(lint(["30 9 * * SUN"], [gate(["MONDAY"])])).toEqual([
      expect.stringMatching(/^NEVER_FIRES .* until 2036-01-06T09:30:00.000Z are skipped/),
    ]);
  });

  test("are distinguished from schedules that fire seldom or are deferred", () => {
    expect(lint(["* * * * *"], [gate(["MONDAY"])])).toEqual([]);
    expect(lint(["30 9 13 * *"], [gate(["FRIDAY"])])).toEqual([]);
    expect(lint(["0 12 * * *"], [gate(daily, "DEFER")])).toEqual([]);
  });

  test("are all checked within one budget, however many they are", () => {
    const schedules = Array.from({ length: 20 }, () => createCronSchedule({ expression: "0 12 * * *" }));
    const plan = { schedules, gates: [gate(daily)] };
    const warnings = lintPlan({ plan, afterMs: nowMs });
    expect(warnings).toHaveLength(20);
    expect(warnings[0]?.message).toContain("until 2026-07-19T12:00:00.000Z");
  });
});

test("lintPlan says after which instant a schedule has no fire time, because a preview may begin in the past", () => {
  const schedules = [createCronSchedule({ expression: "@daily" })];
  const plan = { schedules, bounds: { endMs: nowMs } };
  expect(lintPlan({ plan, afterMs: nowMs })[0]?.message).toBe(
    "This schedule has no fire time after 2026-01-01T00:00:00.000Z, within the job's start and end.",
  );
});

describe("offset changes outside the life of a job", () => {
  const schedules = [createCronSchedule({ expression: "30 2 * * *", timeZone: "Europe/Paris" })];
  const dates = (plan: Partial<FirePlan>, firesLeft?: number, after = "2026-01-01T00:00:00Z") => {
    const limit = firesLeft === undefined ? {} : { firesLeft };
    const warnings = lintPlan({ plan: { schedules, ...plan }, afterMs: Date.parse(after), ...limit });
    return warnings.map(({ code, message }) => `${code} ${message.slice(3, 13)}`);
  };
  const bounds = (start: string, end: string) => ({
    bounds: { startMs: Date.parse(start), endMs: Date.parse(end) },
  });

  test("cause no warning before its start and after its end", () => {
    expect(dates(bounds("2026-01-01T00:00:00Z", "2026-12-24T00:00:00Z"))).toEqual([
      "OFFSET_CHANGE 2026-03-29",
      "OFFSET_CHANGE 2026-10-25",
    ]);
    expect(dates(bounds("2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z"))).toEqual([
      "OFFSET_CHANGE 2026-10-25",
    ]);
    // The first job ends in the first pass of the repeated hour. The second begins at the end of the skipped hour.
    expect(dates(bounds("2026-06-01T00:00:00Z", "2026-10-25T00:30:00Z"))).toEqual([
      "OFFSET_CHANGE 2026-10-25",
    ]);
    expect(dates(bounds("2026-03-29T01:00:00Z", "2026-10-01T00:00:00Z"))).toEqual([
      "OFFSET_CHANGE 2026-03-29",
    ]);
  });

  test("cause no warning after the last fire that maxFires allows, without those that calendars skip", () => {
    expect(dates({}, 3, "2026-03-20T00:00:00Z")).toEqual([]);
    expect(dates({}, 3, "2026-03-27T00:00:00Z")).toEqual(["OFFSET_CHANGE 2026-03-29"]);
    const windows = [{ days: ["SUNDAY"], start: "02:00", end: "04:00" }];
    const calendar = parseCalendar({ timeZone: "Europe/Paris", windows, excludedDates: [] });
    const gates = [{ name: "sundays", outside: "SKIP" as const, calendar }];
    expect(dates({ gates }, 2, "2026-03-20T00:00:00Z")).toEqual(["OFFSET_CHANGE 2026-03-29"]);
    expect(dates({ gates }, 1, "2026-03-20T00:00:00Z")).toEqual([]);
  });

  test("are replaced by one warning when the job has made all triggers that maxFires allows", () => {
    // The number is below zero if the limit was lowered afterwards.
    for (const firesLeft of [0, -2]) {
      const warnings = lintPlan({ plan: { schedules }, afterMs: nowMs, firesLeft });
      expect(warnings.map(({ code, field }) => [code, field])).toEqual([["NEVER_FIRES", "maxFires"]]);
    }
  });
});

test("lintPlan compares the retry horizon with the shortest of the next intervals", () => {
  const schedules = [createCronSchedule({ expression: "0,10 9 * * *" })];
  const messages = (retryHorizonMs: number) =>
    lintPlan({ plan: { schedules }, afterMs: nowMs, retryHorizonMs }).map((warning) => warning.message);
  expect(messages(600_000)).toEqual([]);
  expect(messages(86_400_000)).toEqual([
    "A trigger may be retried for 86400 s, but the next one can be due 600 s later. If they must not overlap, lower retryPolicy.maxAge or set overlapPolicy.",
  ]);
});

test("lintPlan names the fire time at the top of an hour at which many other jobs are due, and how many", () => {
  const schedules = [
    createCronSchedule({ expression: "7 9 * * *" }),
    createCronSchedule({ expression: "0 9 * * *" }),
    { kind: "rate" as const, ...createRate(3_600_000, 0) },
  ];
  const atMs = Date.parse("2026-01-01T09:00:00Z");
  const crowd = { atMs, otherJobs: 1_000 };
  const crowds = [
    { ...crowd, schedule: 1, orMore: true },
    { ...crowd, schedule: 2, orMore: false },
  ];
  const lint = (endMs: number) =>
    lintPlan({ plan: { schedules, bounds: { endMs } }, afterMs: nowMs, crowds }).map(
      ({ code, field, message }) => `${code} ${field} ${message}`,
    );
  expect(lint(atMs)).toEqual([
    expect.stringContaining("NEVER_FIRES schedules[0]"),
    "TOP_OF_HOUR schedules[1].cron.expression At 2026-01-01T09:00:00.000Z, the next fire time of the schedule at the top of an hour, 1000 or more other jobs are due as well. To spread the load use another minute, H or a flexible window.",
    "TOP_OF_HOUR schedules[2].rate.anchorTime At 2026-01-01T09:00:00.000Z, the next fire time of the schedule at the top of an hour, 1000 other jobs are due as well. To spread the load use another anchor or a flexible window.",
  ]);
  expect(lint(atMs - 1).filter((text) => text.startsWith("TOP_OF_HOUR"))).toEqual([]);
});

describe("an offset change at the only time of a schedule", () => {
  const paris = "Europe/Paris";
  const messages = (schedule: Schedule) =>
    lintPlan({ plan: { schedules: [schedule] }, afterMs: nowMs }).map(
      ({ field, message }) => `${field}: ${message}`,
    );

  test("causes a warning for a local time", () => {
    const once = (localTime: string): Schedule => ({ kind: "once", ...createOnceLocal(localTime, paris) });
    expect(messages(once("2026-03-29T02:30:00"))).toEqual([
      "schedules[0].timeZone: On 2026-03-29 in Europe/Paris the local time of the schedule does not exist, so it fires at the moment when the clocks move forward.",
    ]);
    expect(messages(once("2026-10-25T02:30:00"))).toEqual([
      "schedules[0].timeZone: On 2026-10-25 in Europe/Paris the local time of the schedule occurs twice; it fires the first time.",
    ]);
    expect(messages(once("2026-03-29T03:30:00"))).toEqual([]);
  });

  test("causes a warning for a calendar's edge", () => {
    const days = ["SUNDAY"];
    const calendar = parseCalendar({
      timeZone: paris,
      windows: [{ days, start: "02:30", end: "09:00" }],
      excludedDates: ["2027-01-01/2028-12-31"],
    });
    expect(messages({ kind: "calendarEdge", calendar, edge: "OPENS" })).toEqual([
      "schedules[0].calendarEdge.calendar: On 2026-03-29 in Europe/Paris the local time of the schedule does not exist, so it fires at the moment when the clocks move forward.",
      "schedules[0].calendarEdge.calendar: On 2026-10-25 in Europe/Paris the local time of the schedule occurs twice; it fires the first time.",
      "schedules[0].calendarEdge.calendar: On 2026-10-25 in Europe/Paris the local time of the schedule occurs twice; it fires the second time.",
    ]);
    // When the clock goes back to 02:00 it is outside the hours again, so the calendar closes then too.
    expect(messages({ kind: "calendarEdge", calendar, edge: "CLOSES" })).toEqual([
      "schedules[0].calendarEdge.calendar: On 2026-10-25 in Europe/Paris the local time of the schedule occurs twice; it fires the second time.",
    ]);
  });
});
