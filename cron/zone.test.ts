import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ScheduleError } from "./errors.ts";
import { canonicalZone, zoneNames } from "./zone.ts";
import { offsetAt, spanAt, zoneOffsets } from "./zone-offsets.ts";

describe("canonicalZone", () => {
  test.each([
    "UTC",
    "Etc/UTC",
    "GMT",
    "Europe/Paris",
    "Asia/Kolkata",
    "Asia/Calcutta",
    "America/Godthab",
    "America/Nuuk",
    "America/Argentina/Buenos_Aires",
    "America/Buenos_Aires",
    "Europe/Kyiv",
    "Europe/Kiev",
    "US/Eastern",
    "Etc/GMT+5",
    "Antarctica/Troll",
  ])("accepts %s", (name) => {
    expect(canonicalZone(name)).toBe(name);
  });

  test.each([
    "",
    " UTC",
    "utc",
    "europe/paris",
    "EUROPE/PARIS",
    "local",
    "system",
    "+02:00",
    "UTC+2",
    "UTC+99:99",
    "GMT+2:00",
    "Europe/Atlantis",
    "Europe/Paris\n",
    "Europe/Paris ",
    "__proto__",
    "Factory",
    "x".repeat(1_000_000),
  ])("refuses %.20j", (name) => {
    expect(() => canonicalZone(name)).toThrow(ScheduleError);
    expect(() => zoneOffsets(name)).toThrow(ScheduleError);
  });

  test("names the field and the correct spelling", () => {
    const refuse = () => canonicalZone("europe/PARIS");
    expect(refuse).toThrow('timeZone "europe/PARIS" is not a time zone; accepted: "Europe/Paris".');
    expect(refuse).toThrow(expect.objectContaining({ field: "timeZone", value: "europe/PARIS" }));
  });

  test("lists only names that Intl knows", () => {
    expect(zoneNames().length).toBeGreaterThan(590);
    for (const name of zoneNames())
      expect(() => new Intl.DateTimeFormat("en", { timeZone: name })).not.toThrow();
  });
});

describe("the offsets of a zone", () => {
  test.each([
    ["UTC", "2026-07-01T00:00:00Z", 0],
    ["America/New_York", "2026-03-08T06:59:59.999Z", -18_000],
    ["America/New_York", "2026-03-08T07:00:00Z", -14_400],
    ["Australia/Lord_Howe", "2026-04-04T14:59:59Z", 39_600],
    ["Australia/Lord_Howe", "2026-04-04T15:00:00Z", 37_800],
    ["Pacific/Chatham", "2026-07-01T00:00:00Z", 45_900],
    ["Pacific/Apia", "2011-12-30T09:59:59Z", -36_000],
    ["Pacific/Apia", "2011-12-30T10:00:00Z", 50_400],
    ["Africa/Casablanca", "2026-03-01T12:00:00Z", 0],
    ["Africa/Casablanca", "2026-05-01T12:00:00Z", 3_600],
    ["Africa/Monrovia", "1971-12-31T12:00:00Z", -2_670],
    ["Europe/Paris", "2399-07-01T00:00:00Z", 7_200],
  ])("%s at %s is %i seconds from UTC", (zone, time, seconds) => {
    expect(offsetAt(zone, Date.parse(time))).toBe(seconds);
  });

  test("are not cut at the end of a year if they change near it", () => {
    const kiritimati = zoneOffsets("Pacific/Kiritimati");
    const change = Date.parse("1994-12-31T10:00:00Z") / 1000;
    expect(spanAt(kiritimati, change - 1).end).toBe(change);
    expect(spanAt(kiritimati, Date.UTC(1995, 0, 1) / 1000)).toMatchObject({
      start: change,
      offsetBefore: -36_000,
    });
  });

  test("equal those of Intl at any instant from 1905 to 2400, in every zone", { timeout: 600_000 }, () => {
    const clocks = new Map<string, Intl.DateTimeFormat>();
    const formatted = (zone: string, time: number): number => {
      const clock =
        clocks.get(zone) ??
        new Intl.DateTimeFormat("en-US", {
          timeZone: zone,
          calendar: "iso8601",
          hourCycle: "h23",
          dateStyle: "short",
          timeStyle: "medium",
        });
      clocks.set(zone, clock);
      const read = Object.fromEntries(
        clock.formatToParts(time).map(({ type, value }) => [type, Number(value)]),
      );
      const { year = 0, month = 1, day, hour, minute, second } = read;
      return Date.UTC(year, month - 1, day, hour, minute, second);
    };
    fc.assert(
      fc.property(
        fc.constantFrom(...zoneNames()),
        fc.integer({ min: Date.UTC(1905, 0) / 1000, max: Date.UTC(2400, 11) / 1000 }),
        (zone, second) => {
          expect(offsetAt(zone, second * 1000)).toBe(formatted(zone, second * 1000) / 1000 - second);
          const span = spanAt(zoneOffsets(zone), second);
          for (const edge of [span.start, span.end - 1]) {
            expect(formatted(zone, edge * 1000) / 1000 - edge).toBe(span.offset);
          }
        },
      ),
      { numRuns: Number(process.env.EASYCRON_PROPERTY_RUNS ?? 2_000) },
    );
  });
});
