import fc from "fast-check";
import { expect, test } from "vitest";
import { parseCalendar } from "./calendar-spec.ts";
import { createOnce } from "./once.ts";
import { createRate } from "./rate.ts";
import {
  type Bounds,
  createCronSchedule,
  nextFire,
  nextOf,
  nextOfSchedule,
  type Schedule,
} from "./schedule.ts";

function times(schedules: Schedule[], after: string, count: number, bounds?: Bounds): string[] {
  const found: string[] = [];
  let next = nextOf(schedules, Date.parse(after), bounds);
  while (next !== null && found.length < count) {
    found.push(new Date(next).toISOString().slice(5, 19));
    next = nextOf(schedules, next, bounds);
  }
  return found;
}

test("the fire times are the union of the schedules, and an instant that two of them share fires once", () => {
  const schedules: Schedule[] = [
    createCronSchedule({ expression: "0 */6 * * *" }),
    createCronSchedule({ expression: "0 12 * * *", timeZone: "UTC" }),
    { kind: "rate", ...createRate(8 * 3_600_000, Date.UTC(2026, 0, 1)) },
    { kind: "once", ...createOnce(Date.UTC(2026, 0, 1, 7)) },
  ];
  expect(times(schedules, "2026-01-01T00:00:00Z", 6)).toEqual([
    "01-01T06:00:00",
    "01-01T07:00:00",
    "01-01T08:00:00",
    "01-01T12:00:00",
    "01-01T16:00:00",
    "01-01T18:00:00",
  ]);
  const fire = nextFire(schedules, Date.UTC(2026, 0, 1, 11, 59));
  expect(fire?.schedule).toBe(schedules[0]);
});

test("nextOf is the earliest of the schedules from any instant, in any order of questions", () => {
  const calendar = parseCalendar({
    timeZone: "America/New_York",
    windows: [{ days: ["SUNDAY", "WEDNESDAY"], start: "01:30", end: "03:00" }],
    excludedDates: ["2026-03-04"],
  });
  const schedules: Schedule[] = [
    createCronSchedule({ expression: "*/20 1 * * *", timeZone: "America/New_York" }),
    createCronSchedule({ expression: "30 2 * * SUN", timeZone: "Europe/Paris" }),
    { kind: "calendarEdge", calendar, edge: "CLOSES" },
    { kind: "rate", ...createRate(11 * 3_600_000, Date.UTC(2026, 2, 5)) },
    { kind: "once", ...createOnce(Date.UTC(2026, 2, 20)) },
  ];
  const start = Date.UTC(2026, 2, 1);
  const questions = fc.array(fc.integer({ min: 0, max: 40 * 86_400_000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(questions, (offsets) => {
      for (const offset of offsets) {
        const single = schedules.map(
          (each) => nextOfSchedule(each, start + offset) ?? Number.POSITIVE_INFINITY,
        );
        expect(nextOf(schedules, start + offset)).toBe(Math.min(...single));
      }
    }),
  );
});

test("nextOf computes a rare schedule once, not each time another schedule fires", () => {
  const calendar = parseCalendar({
    timeZone: "UTC",
    windows: [{ days: ["MONDAY"], start: "09:00", end: "17:30" }],
    excludedDates: [],
  });
  let computed = 0;
  const seldom: Schedule = {
    kind: "calendarEdge",
    edge: "OPENS",
    get calendar() {
      computed += 1;
      return calendar;
    },
  };
  const minutely = [createCronSchedule({ expression: "* * * * *" }), seldom];
  expect(times(minutely, "2026-03-01T00:00:00Z", 3 * 7 * 1440).at(-1)).toBe("03-22T00:00:00");
  expect(computed).toBe(4);
});

test("nextOf returns null without schedules", () => {
  expect(nextOf([], 0)).toBeNull();
});

test("nextOf includes both bounds", () => {
  const hourly: Schedule[] = [createCronSchedule({ expression: "@hourly" })];
  const bounds = { startMs: Date.UTC(2026, 0, 1, 3), endMs: Date.UTC(2026, 0, 1, 5) };
  expect(times(hourly, "2025-01-01T00:00:00Z", 9, bounds)).toEqual([
    "01-01T03:00:00",
    "01-01T04:00:00",
    "01-01T05:00:00",
  ]);
  expect(times(hourly, "2026-01-01T03:00:00Z", 1, bounds)).toEqual(["01-01T04:00:00"]);
  expect(times(hourly, "2025-01-01T00:00:00Z", 9, { ...bounds, endMs: bounds.endMs - 1 })).toHaveLength(2);
  expect(times(hourly, "2026-01-01T05:00:00Z", 9, bounds)).toEqual([]);
});

test("a calendarEdge schedule fires when its calendar opens or closes", () => {
  const calendar = parseCalendar({
    timeZone: "Europe/Paris",
    windows: [{ days: ["FRIDAY", "MONDAY"], start: "09:00", end: "17:30" }],
    excludedDates: ["2026-03-30"],
  });
  const opens: Schedule[] = [{ kind: "calendarEdge", calendar, edge: "OPENS" }];
  const closes: Schedule[] = [{ kind: "calendarEdge", calendar, edge: "CLOSES" }];
  const after = "2026-03-26T00:00:00Z";
  expect(times(opens, after, 3)).toEqual(["03-27T08:00:00", "04-03T07:00:00", "04-06T07:00:00"]);
  expect(times(closes, after, 3)).toEqual(["03-27T16:30:00", "04-03T15:30:00", "04-06T15:30:00"]);
  expect(times(opens, "2026-03-27T08:00:00Z", 1)).toEqual(["04-03T07:00:00"]);
});

test("createCronSchedule uses UTC and the default policy by default", () => {
  const { zone, dst } = createCronSchedule({ expression: "@daily", dst: { overlap: "BOTH" } });
  expect({ zone: zone.name, dst }).toEqual({ zone: "UTC", dst: { gap: "FIRE_AT_END", overlap: "BOTH" } });
  expect(() => createCronSchedule({ expression: "@daily", timeZone: "local" })).toThrow(
    expect.objectContaining({ field: "timeZone" }),
  );
});
