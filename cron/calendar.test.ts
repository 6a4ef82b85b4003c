import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isOpen, neverOpens, nextChange, nextEdge } from "./calendar.ts";
import { type CalendarSpec, parseCalendar } from "./calendar-spec.ts";
import { walkCalendar } from "./testing/calendar-walk.ts";
import { dateOf, manyWindows } from "./testing/hostile-calendar.ts";
import { MARGIN_MINUTES, readWallClock } from "./testing/wall-clock.ts";

const OFFICE: CalendarSpec = {
  timeZone: "Europe/Paris",
  windows: [{ days: ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"], start: "09:00", end: "17:30" }],
  excludedDates: ["2026-12-25", "2026-12-31/2027-01-03", "--05-01"],
};

function changes(spec: CalendarSpec, after: string, count: number): string[] {
  const calendar = parseCalendar(spec);
  const found: string[] = [];
  let at: number | null = Date.parse(after);
  while (found.length < count) {
    at = nextChange(calendar, at);
    if (at === null) return [...found, "never"];
    found.push(`${isOpen(calendar, at) ? "opens" : "closes"} ${new Date(at).toISOString().slice(0, 16)}`);
  }
  return found;
}

describe("a calendar", () => {
  test("opens and closes with its weekly windows, start inclusive and end exclusive", () => {
    const office = parseCalendar(OFFICE);
    expect(isOpen(office, Date.parse("2026-06-01T06:59:59.999Z"))).toBe(false);
    expect(isOpen(office, Date.parse("2026-06-01T07:00:00Z"))).toBe(true);
    expect(isOpen(office, Date.parse("2026-06-01T15:29:59.999Z"))).toBe(true);
    expect(isOpen(office, Date.parse("2026-06-01T15:30:00Z"))).toBe(false);
    expect(changes(OFFICE, "2026-06-05T10:00:00Z", 2)).toEqual([
      "closes 2026-06-05T15:30",
      "opens 2026-06-08T07:00",
    ]);
  });

  test("is closed on its excluded dates, single, in ranges and every year", () => {
    expect(changes(OFFICE, "2026-12-24T12:00:00Z", 2)).toEqual([
      "closes 2026-12-24T16:30",
      "opens 2026-12-28T08:00",
    ]);
    expect(changes(OFFICE, "2026-12-30T12:00:00Z", 2)).toEqual([
      "closes 2026-12-30T16:30",
      "opens 2027-01-04T08:00",
    ]);
    for (const year of [2028, 2034, 2391]) {
      expect(isOpen(parseCalendar(OFFICE), Date.UTC(year, 4, 1, 10))).toBe(false);
    }
  });

  test("follows the local clock across an offset change", () => {
    expect(changes(OFFICE, "2026-03-27T12:00:00Z", 2)).toEqual([
      "closes 2026-03-27T16:30",
      "opens 2026-03-30T07:00",
    ]);
    const night: CalendarSpec = {
      timeZone: "America/New_York",
      windows: [{ days: ["SUNDAY"], start: "01:30", end: "02:30" }],
      excludedDates: [],
    };
    // The window ends within the gap, so it closes at the start of the gap. In the overlap it opens twice.
    expect(changes(night, "2026-03-08T05:00:00Z", 2)).toEqual([
      "opens 2026-03-08T06:30",
      "closes 2026-03-08T07:00",
    ]);
    expect(changes(night, "2026-11-01T05:00:00Z", 4)).toEqual([
      "opens 2026-11-01T05:30",
      "closes 2026-11-01T06:00",
      "opens 2026-11-01T06:30",
      "closes 2026-11-01T07:30",
    ]);
  });

  test("crosses midnight where its end is before its start, also from Saturday to Sunday", () => {
    const nights: CalendarSpec = {
      timeZone: "UTC",
      windows: [{ days: ["FRIDAY", "SATURDAY"], start: "22:00", end: "06:00" }],
      excludedDates: [],
    };
    expect(changes(nights, "2026-06-05T12:00:00Z", 4)).toEqual([
      "opens 2026-06-05T22:00",
      "closes 2026-06-06T06:00",
      "opens 2026-06-06T22:00",
      "closes 2026-06-07T06:00",
    ]);
    expect(changes({ ...nights, excludedDates: ["2026-06-06"] }, "2026-06-05T12:00:00Z", 4)).toEqual([
      "opens 2026-06-05T22:00",
      "closes 2026-06-06T00:00",
      "opens 2026-06-07T00:00",
      "closes 2026-06-07T06:00",
    ]);
  });

  test("without windows is open except on its excluded dates", () => {
    const always = { timeZone: "Asia/Tokyo", windows: [], excludedDates: ["--12-30/--01-02"] };
    expect(changes({ ...always, excludedDates: [] }, "2026-06-05T12:00:00Z", 1)).toEqual(["never"]);
    expect(changes(always, "2026-06-05T12:00:00Z", 3)).toEqual([
      "closes 2026-12-29T15:00",
      "opens 2027-01-02T15:00",
      "closes 2027-12-29T15:00",
    ]);
    expect(changes({ ...always, excludedDates: ["2026-12-25"] }, "2026-12-26T12:00:00Z", 1)).toEqual([
      "never",
    ]);
  });

  test("that is open all week never changes", () => {
    const days = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];
    const spec = { timeZone: "UTC", windows: [{ days, start: "00:00", end: "24:00" }], excludedDates: [] };
    expect(changes(spec, "2026-06-05T12:00:00Z", 1)).toEqual(["never"]);
    expect(nextEdge(parseCalendar(spec), "OPENS", 0)).toBeNull();
  });

  test("never opens if every date of the year is excluded, or all years from now on", () => {
    const monday = { timeZone: "UTC", windows: [{ days: ["MONDAY"], start: "09:00", end: "10:00" }] };
    const never = (excludedDates: string[]) => neverOpens(parseCalendar({ ...monday, excludedDates }));
    expect(never(["--01-01/--12-31"])).toBe(true);
    expect(never(["1900-01-01/9999-12-31"])).toBe(true);
    expect(never(["--03-01/--02-28"])).toBe(false);
    expect(never(["2000-01-01/2399-12-31"])).toBe(false);
    expect(changes({ ...monday, excludedDates: ["--03-01/--02-28"] }, "2026-01-01T00:00:00Z", 1)).toEqual([
      "opens 2044-02-29T09:00",
    ]);
  });

  test("takes less than 10 ms to search, however seldom it opens", () => {
    const leapDays = Array.from({ length: 120 }, (_, n) => `${1904 + n * 4}-02-28/${1904 + n * 4}-03-01`);
    const calendar = parseCalendar({
      timeZone: "UTC",
      windows: [{ days: ["MONDAY"], start: "09:00", end: "10:00" }],
      excludedDates: ["--03-01/--02-28", ...leapDays],
    });
    const costs = Array.from({ length: 8 }, () => {
      const start = performance.now();
      nextChange(calendar, Date.UTC(2026, 0, 1));
      return performance.now() - start;
    });
    expect(Math.min(...costs)).toBeLessThan(10);
  });

  test("takes less than 3 ms to ask, with 100 windows a day and 5,000 excluded days", () => {
    const START_MS = Date.UTC(2026, 5, 1);
    const calendar = parseCalendar({
      timeZone: "UTC",
      windows: manyWindows(["MONDAY"], 0),
      excludedDates: Array.from({ length: 5_000 }, (_, n) => dateOf(START_MS + n * 7 * 86_400_000)),
    });
    const opening = START_MS + 35_000 * 86_400_000;
    const costs = Array.from({ length: 8 }, () => {
      const start = performance.now();
      expect(nextChange(calendar, START_MS)).toBe(opening);
      expect(nextEdge(calendar, "CLOSES", START_MS)).toBe(opening + 60_000);
      expect(neverOpens(calendar, START_MS)).toBe(false);
      return performance.now() - start;
    });
    expect(Math.min(...costs)).toBeLessThan(3);
  });
});

describe("parseCalendar refuses", () => {
  const window = OFFICE.windows[0] ?? { days: [], start: "", end: "" };
  test.each<[string, Partial<CalendarSpec>]>([
    ["timeZone", { timeZone: "paris" }],
    ["windows[0].days[1]", { windows: [{ ...window, days: ["MONDAY", "Tuesday"] }] }],
    ["windows[0].days", { windows: [{ ...window, days: [] }] }],
    ["windows[1].start", { windows: [window, { ...window, start: "9:00" }] }],
    ["windows[0].start", { windows: [{ ...window, start: "24:00" }] }],
    ["windows[0].end", { windows: [{ ...window, end: "24:01" }] }],
    ["windows[0].end", { windows: [{ ...window, end: "17:60" }] }],
    ["windows[0].end", { windows: [{ ...window, end: "09:00" }] }],
    ["windows", { windows: Array.from({ length: 101 }, () => window) }],
    ["excludedDates[1]", { excludedDates: ["2026-12-25", "2026-02-29"] }],
    ["excludedDates[0]", { excludedDates: ["2027-01-01/2026-12-24"] }],
    ["excludedDates[0]", { excludedDates: ["2026-12-24/--01-01"] }],
    ["excludedDates[0]", { excludedDates: ["--02-30"] }],
    ["excludedDates[0]", { excludedDates: ["--12-24/2027-01-01"] }],
    ["excludedDates[0]", { excludedDates: ["05-01"] }],
    ["excludedDates[0]", { excludedDates: [""] }],
    ["excludedDates[0]", { excludedDates: ["2026-12-24/2026-12-25/2026-12-26"] }],
    ["excludedDates", { excludedDates: Array.from({ length: 5_001 }, () => "2026-12-24") }],
  ])("a mistake in %s", (field, change) => {
    expect(() => parseCalendar({ ...OFFICE, ...change })).toThrow(expect.objectContaining({ field }));
  });
});

test("a calendar opens and closes when a walk through the minutes of its zone says so", {
  timeout: 600_000,
}, () => {
  const places = [
    ["America/New_York", "2026-11-01"],
    ["Australia/Lord_Howe", "2026-10-04"],
    ["America/Nuuk", "2026-03-28"],
    ["Antarctica/Troll", "2026-10-25"],
    ["Pacific/Apia", "2011-12-30"],
    ["America/Havana", "2026-11-01"],
    ["Pacific/Kwajalein", "1993-08-21"],
    ["America/Danmarkshavn", "1996-01-01"],
  ].map(([zone = "", day = ""]) => readWallClock(zone, Date.parse(day) - 86_400_000, 3));
  const names = ["SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"];
  const time = fc
    .integer({ min: 0, max: 47 })
    .map((n) => `${String(n >> 1).padStart(2, "0")}:${n % 2 ? "30" : "00"}`);
  const windows = fc.array(
    fc
      .record({ days: fc.subarray(names, { minLength: 1 }), start: time, end: time })
      .filter(({ start, end }) => start !== end),
    { maxLength: 3 },
  );
  const clocks = fc.constantFrom(...places);
  const excluded = fc.array(fc.tuple(fc.integer({ min: -1, max: 4 }), fc.boolean()), { maxLength: 2 });
  fc.assert(
    fc.property(clocks, windows, excluded, (clock, rows, dates) => {
      const excludedDates = dates.map(([offset, yearly]) => {
        const date = new Date(clock.startMs + (2 + offset) * 86_400_000).toISOString().slice(0, 10);
        return yearly ? `-${date.slice(4)}` : date;
      });
      const calendar = parseCalendar({ timeZone: clock.zone, windows: rows, excludedDates });
      const walked = walkCalendar(clock, { windows: rows, excludedDates });
      const startMs = clock.startMs + MARGIN_MINUTES * 60_000;
      const found: number[] = [];
      const endMs = startMs + 3 * 86_400_000;
      expect(isOpen(calendar, startMs)).toBe(walked.open);
      for (let at = nextChange(calendar, startMs); at !== null && at < endMs; at = nextChange(calendar, at)) {
        found.push(at);
      }
      expect(found).toEqual(walked.changes);
    }),
    { numRuns: Number(process.env.EASYCRON_PROPERTY_RUNS ?? 400) },
  );
});
