import { describe, expect, test } from "vitest";
import { parseCalendar } from "./calendar-spec.ts";
import { lintPlan } from "./lint.ts";
import { createCronSchedule } from "./schedule.ts";

const nowMs = Date.parse("2026-01-01T00:00:00Z");

function codes(expression: string, timeZone = "UTC"): string[] {
  const schedules = [createCronSchedule({ expression, timeZone })];
  return lintPlan({ plan: { schedules }, nowMs }).map((warning) => warning.code);
}

describe("the expression", () => {
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
    ["H(0-29)/7 * * * *", ["STEP_RESTARTS"]],
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
  ])("%s has the warnings %j", (expression, expected) => {
    expect(codes(expression)).toEqual(expected);
  });

  test("says the shortest of a step's intervals, and the longest", () => {
    const plan = {
      schedules: [createCronSchedule({ expression: "30 0-59/7 * * * *", dialect: "WITH_SECONDS" })],
    };
    expect(lintPlan({ plan, nowMs })).toEqual([
      {
        code: "STEP_RESTARTS",
        field: "schedules[0].cron.expression",
        message:
          "0-59/7 in the minute field starts anew with every hour, so its intervals are not all alike: the shortest is 4, the longest 7.",
      },
    ]);
  });

  test("names the months that lack a day", () => {
    const plan = { schedules: [createCronSchedule({ expression: "0 0 30 1-4 *" })] };
    const [warning] = lintPlan({ plan, nowMs });
    expect(warning?.field).toBe("schedules[0].cron.expression");
    expect(warning?.message).toContain("do not exist in February;");
  });
});

test("names the offset changes of the next two years that touch a schedule", () => {
  const messages = (expression: string, dst = {}) =>
    lintPlan({
      plan: { schedules: [createCronSchedule({ expression, timeZone: "Europe/Paris", dst })] },
      nowMs,
    }).map((warning) => `${warning.field} ${warning.message}`);
  expect(messages("30 2 * * *")).toEqual([
    "schedules[0].timeZone On 2026-03-29 in Europe/Paris the times 02:00 to 03:00 are skipped: it fires once, at their end.",
    "schedules[0].timeZone On 2026-10-25 in Europe/Paris the times 02:00 to 03:00 come twice: it fires the first time.",
    "schedules[0].timeZone On 2027-03-28 in Europe/Paris the times 02:00 to 03:00 are skipped: it fires once, at their end.",
    "schedules[0].timeZone On 2027-10-31 in Europe/Paris the times 02:00 to 03:00 come twice: it fires the first time.",
  ]);
  expect(messages("30 2 29 3 *", { gap: "SKIP" })).toEqual([
    "schedules[0].timeZone On 2026-03-29 in Europe/Paris the times 02:00 to 03:00 are skipped: it does not fire at them.",
  ]);
  expect(messages("*/30 2 25 10 *")).toEqual([
    "schedules[0].timeZone On 2026-10-25 in Europe/Paris the times 02:00 to 03:00 come twice: it fires at them both times.",
  ]);
  expect(messages("0 9 * * *")).toEqual([]);
  expect(messages("*/10 * * * *")).toEqual([]);
});

test("warns of bounds that leave no fire time and of calendars that never open, together or alone", () => {
  const schedules = [createCronSchedule({ expression: "@daily" })];
  const fields = (plan: Parameters<typeof lintPlan>[0]["plan"]) =>
    lintPlan({ plan, nowMs }).map((warning) => `${warning.code} ${warning.field}`);
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

test("compares the retry horizon with the shortest of the coming intervals", () => {
  const schedules = [createCronSchedule({ expression: "0,10 9 * * *" })];
  const messages = (retryHorizonMs: number) =>
    lintPlan({ plan: { schedules }, nowMs, retryHorizonMs }).map((warning) => warning.message);
  expect(messages(600_000)).toEqual([]);
  expect(messages(86_400_000)).toEqual([
    "A trigger may be retried for 86400 s, but the next one can follow after 600 s.",
  ]);
});

test("says how crowded the top of the hour is, if told", () => {
  const schedules = [
    createCronSchedule({ expression: "0 9 * * *" }),
    createCronSchedule({ expression: "7 9 * * *" }),
  ];
  const warnings = lintPlan({ plan: { schedules }, nowMs, jobsAtTopOfHour: 1_200 });
  expect(warnings.map((warning) => `${warning.code} ${warning.field}`)).toEqual([
    "TOP_OF_HOUR schedules[0].cron.expression",
  ]);
  expect(warnings[0]?.message).toContain("1200 other jobs");
});
