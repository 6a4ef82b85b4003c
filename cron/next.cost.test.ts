import { beforeAll, describe, expect, test } from "vitest";
import { neverFires, parseCron } from "./expression.ts";
import { type DstPolicy, nextFireTime } from "./next.ts";
import { createZoneOffsets, type ZoneOffsets, zoneOffsets } from "./zone-offsets.ts";

const SKIP: DstPolicy = { gap: "SKIP", overlap: "FIRST" };
const FIRE: DstPolicy = { gap: "FIRE_AT_END", overlap: "FIRST" };

const PARIS = "Europe/Paris";
const NOW = "2026-01-01T00:00:00Z";
const OLD = "1990-01-01T00:00:00Z";

/** Measures an operation in milliseconds of this process's CPU time, so that a busy machine does not matter. */
function cpuMs(operation: () => void): number {
  const before = process.cpuUsage();
  operation();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/**
 * A zone with an empty cache. So a zone can be asked for the first time more than once, if only one zone has a rule.
 */
function forgetful(zone: string): () => ZoneOffsets {
  return () => createZoneOffsets(zone, zoneOffsets(zone).read);
}

// Only the zone is new in each case. Intl has been read from disk and this code compiled, once for the process.
beforeAll(() => {
  nextFireTime(parseCron("30 1 * 3 SUNL"), "Europe/London", Date.parse(OLD), SKIP);
});

// It takes less than 10 ms on an idle core. On a busy machine it can be four times that. The tests further down count
// how
// many offsets a search reads, which does not depend on the machine.
describe("nextFireTime takes milliseconds in a zone that nothing has asked about yet", () => {
  const numbers = Array.from({ length: 60 }, (_, n) => n).join(",");
  /** Each zone is in this table once, so that its cache is empty. The cheapest of all first questions counts. */
  test.each<[what: string, expression: string, zones: string[], after: string, dst: DstPolicy]>([
    ["a half-hour shift", "0 12 * * *", ["Australia/Lord_Howe"], "2026-04-04T06:00:00Z", SKIP],
    ["a gap of half an hour", "15 2 * 10 0#1", ["Australia/LHI"], "2026-01-01T00:00:00Z", SKIP],
    ["36 years without", "0 0 * 2 6#5", ["America/Toronto"], "2080-03-01T00:00:00Z", SKIP],
    ["30 February", "0 0 30 2 *", ["America/Boise"], "2026-01-01T00:00:00Z", SKIP],
    ["the 31st of short months", "0 0 31 4,6,9,11 *", ["US/Michigan"], "1900-01-01T00:00:00Z", SKIP],
    ["a missing day", "0 9 30 * *", ["Pacific/Apia"], "2011-12-01T00:00:00Z", SKIP],
    ["a gap at midnight", "30 0 LW * *", ["Asia/Amman"], "2018-03-29T21:58:59Z", SKIP],
    ["a repeated midnight", "0 * * * *", ["America/Scoresbysund"], "2022-10-29T22:59:59Z", SKIP],
    ["always the gap, periodic", "*/30 2 * 3 SUNL", [PARIS, "Europe/Rome", "MET"], NOW, FIRE],
    ["always the gap, periodic", "*/30 2 * 3 SUNL", ["Europe/Madrid", "Europe/Oslo", "CET"], OLD, FIRE],
    ["always the gap", "30 2 * 3 SUNL", ["Europe/Prague", "Europe/Zurich", "Poland"], NOW, SKIP],
    ["always the gap", "30 2 * 3 SUNL", ["Europe/Brussels", "Europe/Monaco", "Europe/Vaduz"], OLD, SKIP],
    ["always the gap", "30 2 * 3 SUN#2", ["America/New_York", "US/Central", "Navajo"], NOW, SKIP],
    [
      "always the gap",
      "30 2 * 10 SUN#1",
      ["Australia/Sydney", "Australia/ACT", "Australia/Hobart"],
      NOW,
      SKIP,
    ],
    ["always the gap", "30 2 * 3 SUNL", ["Europe/Malta"], "2150-01-01T00:00:00Z", SKIP],
    ["a full list", `${numbers} * * * *`, ["Etc/GMT+1"], NOW, SKIP],
    ["many steps", "*/7,".repeat(60).concat("* * * * *"), ["Etc/GMT+2"], NOW, SKIP],
    ["a megabyte of commas", ",".repeat(1_000_000), ["Etc/GMT+3"], NOW, SKIP],
    ["a megabyte of digits", "1".repeat(1_000_000), ["Etc/GMT+4"], NOW, SKIP],
    ["many macros", "@".repeat(256), ["Etc/GMT+5"], NOW, SKIP],
    ["many brackets", `${"H(".repeat(100)} 0 * * *`, ["Etc/GMT+6"], NOW, SKIP],
  ])("%s", (_what, expression, zones, after, dst) => {
    const coldZones = [...zones, ...Array.from({ length: 5 }, () => forgetful(zones[0] ?? ""))];
    const costs = coldZones.map((zone) =>
      cpuMs(() => {
        try {
          const fields = parseCron(expression);
          neverFires(fields);
          nextFireTime(fields, typeof zone === "string" ? zone : zone(), Date.parse(after), dst);
        } catch {
          // A refusal must be cheap, too.
        }
      }),
    );
    expect(Math.min(...costs)).toBeLessThan(40);
  });
});

describe("nextFireTime returns null for a schedule whose times are always skipped", () => {
  test.each<[expression: string, zone: string, after: string, dst: DstPolicy, mostReads: number]>([
    ["*/30 2 * 3 SUNL", PARIS, OLD, FIRE, 1_500],
    ["30 2 * 3 SUNL", PARIS, OLD, SKIP, 1_500],
    ["30 2 * 3 SUNL", PARIS, NOW, SKIP, 1_100],
    ["30 2 * 3 SUNL", PARIS, "2150-01-01T00:00:00Z", SKIP, 200],
    ["30 2 * 3 SUNL", PARIS, "2399-01-01T00:00:00Z", SKIP, 50],
    ["30 2 * 3 SUN#2", "America/New_York", "2007-01-01T00:00:00Z", SKIP, 1_300],
  ])("%s in %s after %s", (expression, zone, after, dst, mostReads) => {
    let reads = 0;
    const offsets = createZoneOffsets(zone, (second) => {
      reads += 1;
      return zoneOffsets(zone).read(second);
    });
    const fields = parseCron(expression);
    expect(nextFireTime(fields, offsets, Date.parse(after), dst)).toBeNull();
    expect(reads).toBeLessThanOrEqual(mostReads);
    expect(nextFireTime(fields, offsets, Date.parse(after), dst)).toBeNull();
    expect(reads).toBeLessThanOrEqual(mostReads);
  });
});

test("nextFireTime finds the rarest day forty years ahead, and skips the gaps of the years between", () => {
  const next = (expression: string, zone: string, after: number) => {
    const time = nextFireTime(parseCron(expression), zone, after, SKIP);
    return time === null ? null : new Date(time).toISOString();
  };
  expect(next("0 0 * 2 SAT#5", "Europe/Malta", Date.UTC(2172, 2, 1))).toBe("2212-02-28T23:00:00.000Z");
  expect(next("30 2 28 3 SUNL", "Europe/Malta", Date.UTC(2100, 2, 29))).toBe("2101-03-28T00:30:00.000Z");
});
