import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Calendar, isOpen } from "./calendar.ts";
import { type CalendarGate, checkAll, MAX_DEFER_MS, nextOpeningOfAll, passGates } from "./calendar-gate.ts";
import { parseCalendar } from "./calendar-spec.ts";
import { openMinutes } from "./testing/calendar-walk.ts";
import { dateOf, EVERY_DAY, manyWindows } from "./testing/hostile-calendar.ts";
import { MARGIN_MINUTES, readWallClock } from "./testing/wall-clock.ts";

function gate(
  name: string,
  day: string,
  start: string,
  end: string,
  outside: "SKIP" | "DEFER",
): CalendarGate {
  const calendar = parseCalendar({
    timeZone: "UTC",
    windows: [{ days: [day], start, end }],
    excludedDates: [],
  });
  return { name, calendar, outside };
}

const MONDAY_NOON = Date.parse("2026-06-01T12:00:00Z");

test("passGates says OPEN if all calendars are open, or there are none", () => {
  expect(passGates([], MONDAY_NOON)).toEqual({ kind: "OPEN" });
  expect(passGates([gate("a", "MONDAY", "09:00", "17:00", "SKIP")], MONDAY_NOON)).toEqual({ kind: "OPEN" });
});

test("passGates says SKIPPED if a closed calendar says SKIP, and names it", () => {
  const gates = [
    gate("a", "TUESDAY", "09:00", "17:00", "DEFER"),
    gate("b", "SUNDAY", "09:00", "17:00", "SKIP"),
  ];
  expect(passGates(gates, MONDAY_NOON)).toEqual({ kind: "SKIPPED", calendar: "b" });
});

test("passGates defers to the next instant at which all calendars are open", () => {
  const gates = [
    gate("a", "TUESDAY", "09:00", "17:00", "DEFER"),
    gate("b", "TUESDAY", "11:00", "12:00", "DEFER"),
  ];
  const untilMs = Date.parse("2026-06-02T11:00:00Z");
  expect(passGates(gates, MONDAY_NOON)).toEqual({ kind: "DEFERRED", calendar: "a", untilMs });
  const calendars = gates.map((each) => each.calendar);
  expect(checkAll(calendars, MONDAY_NOON)).toEqual({ open: false, changeMs: untilMs });
  expect(checkAll(calendars, untilMs)).toEqual({ open: true, changeMs: Date.parse("2026-06-02T12:00:00Z") });
});

test("passGates says SKIPPED if the calendars never open together, after at most 10 ms of search", () => {
  const gates = [
    gate("a", "TUESDAY", "09:00", "17:00", "DEFER"),
    gate("b", "FRIDAY", "11:00", "12:00", "DEFER"),
  ];
  const costs = Array.from({ length: 5 }, () => {
    const start = performance.now();
    expect(passGates(gates, MONDAY_NOON)).toEqual({ kind: "SKIPPED", calendar: "a" });
    return performance.now() - start;
  });
  expect(Math.min(...costs)).toBeLessThan(10);
});

describe("with many calendars, windows and dates,", () => {
  const ZONES = [
    ["America/New_York", "Europe/Paris", "Australia/Lord_Howe", "Asia/Tokyo", "America/Los_Angeles"],
    ["Africa/Casablanca", "Asia/Kathmandu", "Pacific/Chatham", "America/Santiago", "Asia/Tehran"],
    ["Africa/Cairo", "Asia/Beirut", "America/Havana", "Pacific/Auckland", "America/Sao_Paulo"],
    ["Antarctica/Troll", "America/St_Johns", "Europe/Dublin", "Asia/Gaza", "America/Nuuk"],
  ].flat();
  const alternate = (first: number) =>
    Array.from({ length: 5_000 }, (_, n) => dateOf(MONDAY_NOON + (n * 2 + first - 10) * 86_400_000));
  const deferring = (calendars: Calendar[]): CalendarGate[] =>
    calendars.map((calendar, index) => ({ name: `c${index}`, calendar, outside: "DEFER" }));
  const HOSTILE: [string, CalendarGate[]][] = [
    [
      "20 of one zone that miss each other by minutes",
      deferring(
        ZONES.map((_, n) =>
          parseCalendar({
            timeZone: "Europe/Paris",
            windows: manyWindows(EVERY_DAY, n % 14),
            excludedDates: alternate(n),
          }),
        ),
      ),
    ],
    [
      "20 zones that exclude every other date in turn",
      deferring(
        ZONES.map((timeZone, n) =>
          parseCalendar({
            timeZone,
            windows: manyWindows(EVERY_DAY, 0, 12),
            excludedDates: alternate(n % 2),
          }),
        ),
      ),
    ],
    [
      "20 zones of which only the last has windows",
      deferring(
        ZONES.map((timeZone, n) =>
          parseCalendar({
            timeZone,
            windows: n < 19 ? [] : manyWindows(EVERY_DAY, 0),
            excludedDates: alternate(n % 2),
          }),
        ),
      ),
    ],
  ];

  // Three to five milliseconds on an idle core. On a busy machine it can be four times that.
  test.each(HOSTILE)("a question takes milliseconds: %s", (_, gates) => {
    const costs = Array.from({ length: 10 }, () => {
      // Copies have no cached answers, so each question is the first one.
      const fresh = gates.map((each) => ({ ...each, calendar: { ...each.calendar } }));
      const before = process.cpuUsage();
      expect(passGates(fresh, MONDAY_NOON)).toEqual({ kind: "SKIPPED", calendar: expect.any(String) });
      return process.cpuUsage(before).user / 1000;
    });
    expect(Math.min(...costs)).toBeLessThan(40);
  });

  test.each(HOSTILE)("an hour of a job that fires every second takes less than 1 s: %s", (_, gates) => {
    const before = process.cpuUsage();
    for (let second = 0; second < 3_600; second += 1) passGates(gates, MONDAY_NOON + second * 1000);
    expect(process.cpuUsage(before).user / 1000).toBeLessThan(1_000);
  });
});

test("passGates agrees with a walk through the minutes of several zones, in any order of questions", {
  timeout: 600_000,
}, () => {
  const START = Date.parse("2026-03-28T00:00:00Z");
  const MINUTES = 9 * 1440;
  const clocks = [
    ["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham"],
    ["America/Nuuk", "America/Santiago", "Antarctica/Troll", "Asia/Kathmandu"],
  ]
    .flat()
    .map((zone) => readWallClock(zone, START, 9));
  const time = fc.integer({ min: 0, max: 95 }).map((n) => new Date(n * 900_000).toISOString().slice(11, 16));
  const windows = fc.array(
    fc
      .record({ days: fc.subarray(EVERY_DAY, { minLength: 1 }), start: time, end: time })
      .filter(({ start, end }) => start !== end),
    { maxLength: 4 },
  );
  const date = fc.tuple(fc.integer({ min: 0, max: 8 }), fc.boolean()).map(([day, yearly]) => {
    const text = dateOf(START + day * 86_400_000);
    return yearly ? `-${text.slice(4)}` : text;
  });
  const rule = fc.record({
    clock: fc.constantFrom(...clocks),
    windows,
    excludedDates: fc.array(date, { maxLength: 6 }),
  });
  const questions = fc.array(fc.integer({ min: 0, max: MINUTES * 60_000 - 1 }), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(fc.array(rule, { minLength: 1, maxLength: 4 }), questions, (rules, offsets) => {
      const gates = rules.map(({ clock, ...spec }, index): CalendarGate => {
        const calendar = parseCalendar({ timeZone: clock.zone, ...spec });
        return { name: `c${index}`, calendar, outside: "DEFER" };
      });
      const states = rules.map(({ clock, ...spec }) => openMinutes(clock, spec).slice(MARGIN_MINUTES));
      for (const offset of offsets) {
        let minute = Math.floor(offset / 60_000);
        const first = minute;
        while (minute < MINUTES && !states.every((open) => open[minute])) minute += 1;
        const verdict = passGates(gates, START + offset);
        if (minute === first) expect(verdict).toEqual({ kind: "OPEN" });
        else if (minute < MINUTES)
          expect(verdict).toMatchObject({ kind: "DEFERRED", untilMs: START + minute * 60_000 });
        else if (verdict.kind === "DEFERRED")
          expect(verdict.untilMs).toBeGreaterThanOrEqual(START + MINUTES * 60_000);
        else expect(verdict.kind).toBe("SKIPPED");
      }
    }),
    { numRuns: Number(process.env.EASYCRON_PROPERTY_RUNS ?? 150) },
  );
});

test("passGates is exact to the second where offsets are not whole minutes", () => {
  const START = Date.parse("1908-05-04T00:00:00Z");
  const rule = fc.record({
    timeZone: fc.constantFrom("Europe/Amsterdam", "Africa/Monrovia", "Europe/Dublin", "UTC"),
    windows: fc.constantFrom(
      manyWindows(EVERY_DAY, 0),
      manyWindows(EVERY_DAY, 5, 2),
      manyWindows(EVERY_DAY, 2, 9),
    ),
    excludedDates: fc.subarray(["1908-05-04", "1908-05-03"]),
  });
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 2, maxLength: 3 }),
      fc.integer({ min: 0, max: 43_200 }),
      (rules, from) => {
        const calendars = rules.map(parseCalendar);
        let second = from;
        while (second < 86_400 && !calendars.every((each) => isOpen(each, START + second * 1000)))
          second += 1;
        const found = nextOpeningOfAll(calendars, START + from * 1000) ?? Number.POSITIVE_INFINITY;
        expect(Math.min(found, START + 86_400_000)).toBe(START + second * 1000);
      },
    ),
    { numRuns: 100 },
  );
});

test("passGates looks exactly ten years ahead, whatever was asked before", () => {
  const calendar = parseCalendar({ timeZone: "UTC", windows: [], excludedDates: ["2026-01-01/2036-06-01"] });
  const opening = Date.parse("2036-06-02T00:00:00Z");
  const ask = (atMs: number) => nextOpeningOfAll([calendar], atMs);
  expect(ask(opening - MAX_DEFER_MS - 1)).toBeNull();
  expect(ask(opening - MAX_DEFER_MS)).toBe(opening);
  expect(ask(opening - MAX_DEFER_MS - 1)).toBeNull();
  expect(ask(opening - 1)).toBe(opening);
  expect(ask(Date.parse("2026-01-02T00:00:00Z"))).toBeNull();
});
