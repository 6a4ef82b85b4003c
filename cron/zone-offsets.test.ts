import { describe, expect, test } from "vitest";
import { DAY_SECONDS, isLeapYear } from "./local-time.ts";
import { zoneNames } from "./zone.ts";
import {
  ALL_SHAPES_SECONDS,
  createZoneOffsets,
  offsetAt,
  spanAt,
  type ZoneOffsets,
  zoneOffsets,
} from "./zone-offsets.ts";

const HOUR_MS = 3_600_000;

/** The offsets of a zone with a cache of their own, and a count of the questions to Intl. */
function countingOffsets(zone: string): { offsets: ZoneOffsets; reads: () => number } {
  let reads = 0;
  const offsets = createZoneOffsets(zone, (second) => {
    reads += 1;
    return zoneOffsets(zone).read(second);
  });
  return { offsets, reads: () => reads };
}

/** Reads the offsets of a year from Intl, every six hours. */
function formattedOffsets(zone: string, year: number): [atMs: number, seconds: number][] {
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  });
  const offsets: [number, number][] = [];
  for (let atMs = Date.UTC(year, 0, 1); atMs < Date.UTC(year + 1, 0, 1); atMs += 6 * HOUR_MS) {
    const [month = 0, day, rest = 0, hour, minute] = clock.format(atMs).split(/\D+/).map(Number);
    offsets.push([atMs, (Date.UTC(rest, month - 1, day, hour, minute) - atMs) / 1000]);
  }
  return offsets;
}

describe("spanAt finds every change of zones that follow Ramadan", () => {
  test.each([
    // Offsets are kept for a week in 2040, and for two in 2053 and 2086. 2087 begins as 2081 does, and has other rules.
    ["Asia/Gaza", [2040, 2053, 2081, 2086, 2087]],
    // Up to release 2026b each of these years has its own rules. In later releases the zone no longer changes.
    ["Africa/Casablanca", [2081, 2082, 2083, 2084, 2085, 2086, 2087]],
  ])("%s in %j", (zone, years) => {
    for (const year of years) {
      const formatted = formattedOffsets(zone, year);
      expect(formatted.map(([atMs]) => [atMs, offsetAt(zone, atMs)])).toEqual(formatted);
    }
  });
});

describe("the cache of zone offsets", () => {
  const months = (from: number, to: number) =>
    Array.from({ length: (to - from + 1) * 12 }, (_, n) => Date.UTC(from, n, 15) / 1000);

  test("holds 128 years and the 14 shapes of year for each zone", () => {
    const { offsets } = countingOffsets("Europe/Rome");
    for (const second of months(1900, 2400)) spanAt(offsets, second);
    expect(offsets.years.size).toBe(128);
    expect(offsets.shapes.size).toBe(14);
  });

  test("holds everything that a walk from 1980 to 2400 asks for, and removes the oldest years first", () => {
    const { offsets, reads } = countingOffsets("Europe/Rome");
    for (const second of months(1980, 2400)) spanAt(offsets, second);
    const once = reads();
    for (const second of months(1980, 2400)) spanAt(offsets, second);
    expect(reads()).toBe(once);
    for (const second of months(1960, 1969)) spanAt(offsets, second);
    const twice = reads();
    for (const second of months(1982, 2400)) spanAt(offsets, second);
    expect(reads()).toBe(twice);
    spanAt(offsets, Date.UTC(1980, 0, 15) / 1000);
    expect(reads()).toBeGreaterThan(twice);
  });

  test("has one entry for each zone, and none for an unknown name", () => {
    expect(zoneOffsets("Europe/Rome")).toBe(zoneOffsets("Europe/Rome"));
    expect(() => zoneOffsets("europe/rome")).toThrow();
    expect(() => zoneOffsets("Europe/Rome ")).toThrow();
  });
});

describe("from 2100 on,", () => {
  const shape = (year: number) => `${new Date(Date.UTC(year, 0, 1)).getUTCDay()} ${isLeapYear(year)}`;

  test("any forty whole years contain every shape, and a search without a result goes on for that long", () => {
    let least = 14;
    for (let year = 2100; year <= 2500; year += 1) {
      least = Math.min(least, new Set(Array.from({ length: 40 }, (_, n) => shape(year + n))).size);
    }
    expect(least).toBe(14);
    // 40 years have at most 10 leap days, and up to a year passes before the first whole year.
    expect(ALL_SHAPES_SECONDS).toBeGreaterThanOrEqual((40 * 365 + 10 + 366) * DAY_SECONDS);
  });

  test("no zone changes within two days of a New Year", () => {
    for (const zone of zoneNames()) {
      const { read } = zoneOffsets(zone);
      for (let year = 2100; year <= 2139; year += 3) {
        const newYear = Date.UTC(year, 0, 1) / 1000;
        expect(read(newYear + 2 * DAY_SECONDS), `${zone} ${year}`).toBe(read(newYear - 2 * DAY_SECONDS));
      }
    }
  });
});

test("spanAt refuses seconds outside the known years", () => {
  const utc = zoneOffsets("UTC");
  for (const second of [Date.UTC(1899, 11, 31, 23, 59, 59), Date.UTC(2401, 0, 1)]) {
    expect(() => spanAt(utc, second / 1000)).toThrow(RangeError);
  }
  for (const second of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => spanAt(utc, second)).toThrow(RangeError);
  }
});
