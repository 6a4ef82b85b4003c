import { describe, expect, test } from "vitest";
import { lintPlan } from "./lint.ts";
import { createCronSchedule } from "./schedule.ts";
import { canonicalZone } from "./zone.ts";
import { ZONE_RENAMES } from "./zone-renames.ts";

const afterMs = Date.parse("2026-01-01T00:00:00Z");

function warningsOf(timeZone: string) {
  const schedules = [createCronSchedule({ expression: "30 12 * * *", timeZone })];
  return lintPlan({ plan: { schedules }, afterMs }).map(({ code, field, message }) => [code, field, message]);
}

describe("a time zone", () => {
  test.each([
    ["EST", "is always 5 hours behind UTC, in summer too. If"],
    ["MST", "is always 7 hours behind UTC, in summer too. If"],
    ["HST", "is always 10 hours behind UTC, in summer too. If"],
    [
      "Etc/GMT+5",
      "is always 5 hours behind UTC, in summer too, although the sign in its name says the opposite. If",
    ],
    ["Etc/GMT-1", "is always 1 hour ahead of UTC, in summer too, although the sign"],
  ])("%s gets a warning, because its offset is fixed", (zone, words) => {
    expect(warningsOf(zone)).toEqual([
      [
        "TIME_ZONE_FIXED_OFFSET",
        "schedules[0].timeZone",
        expect.stringContaining(`The zone ${zone} ${words}`),
      ],
    ]);
  });

  test.each([
    ["Europe/Kiev", "Europe/Kyiv"],
    ["US/Eastern", "America/New_York"],
    ["Asia/Calcutta", "Asia/Kolkata"],
    ["EST5EDT", "America/New_York"],
    ["CET", "Europe/Brussels"],
  ])("%s gets a warning with its present name, %s", (zone, present) => {
    expect(warningsOf(zone)).toEqual([
      [
        "TIME_ZONE_RENAMED",
        "schedules[0].timeZone",
        expect.stringMatching(new RegExp(` name is ${present}\\.$`)),
      ],
    ]);
  });

  test.each([
    "UTC",
    "Etc/UTC",
    "GMT",
    "Etc/GMT",
    "Etc/GMT+0",
    "Europe/Kyiv",
    "Europe/Amsterdam",
    "Africa/Accra",
  ])("%s gets no warning", (zone) => expect(warningsOf(zone)).toEqual([]));
});

test("every old name and its present name are zones with the same local times today", () => {
  const local = (timeZone: string, ms: number) => new Date(ms).toLocaleString("en-GB", { timeZone });
  for (const [old, present] of ZONE_RENAMES) {
    expect([canonicalZone(old), canonicalZone(present)]).toEqual([old, present]);
    expect(ZONE_RENAMES.has(present)).toBe(false);
    for (let month = 0; month < 12; month += 1) {
      const ms = Date.UTC(2026, month, 15, 12);
      expect([old, local(old, ms)]).toEqual([old, local(present, ms)]);
    }
  }
});
