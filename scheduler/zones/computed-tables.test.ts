import { describe, expect, test } from "vitest";
import { zoneNames } from "../../cron/zone.ts";
import { toTable, type ZoneTable } from "../../cron/zone-table.ts";
import { formatComputedTables, readComputedTables } from "./computed-tables.ts";
import { ownRelease, tablesOf } from "./zone-data.ts";

const OWN = ownRelease();
const computed = await readComputedTables(OWN.version);
const tableOf = (name: string): ZoneTable => JSON.parse(computed.get(name) ?? "[]");

describe("the tables that were computed in advance", () => {
  test("are of this Node's release and have every zone; if not, run `npm run zones`", () => {
    expect([...computed.keys()].sort()).toEqual(zoneNames());
  });

  test("are those that this Node computes, for one zone of each table", () => {
    const zones = new Map([...computed].map(([name, offsets]) => [offsets, name]));
    for (const [offsets, name] of zones) {
      expect(JSON.stringify(toTable(OWN.zones(name))), name).toBe(offsets);
    }
  });

  test("agree with this Node for every zone at each change, and each winter and summer from 2020 to 2059", () => {
    const seasons = Array.from({ length: 80 }, (_, n) => Date.UTC(2020, n * 6, 15) / 1000);
    for (const name of computed.keys()) {
      const { read } = OWN.zones(name);
      const table = tableOf(name);
      const changes = table.slice(1).flatMap(([second]) => [second - 1, second]);
      const different = [...changes, ...seasons].filter(
        (at) => read(at) !== table.findLast(([second]) => second <= at)?.[1],
      );
      expect(different, name).toEqual([]);
    }
  });
});

test("no table is taken from a file of another release", async () => {
  expect(await readComputedTables("1999a")).toEqual(new Map());
});

test("a zone that was not computed in advance is computed", () => {
  const tables = tablesOf(OWN, ["Europe/Paris", "Asia/Tokyo"], new Map([["Asia/Tokyo", "[]"]]));
  expect(tables).toEqual(new Map([...tablesOf(OWN, ["Europe/Paris"]), ["Asia/Tokyo", "[]"]]));
});

test("zones with the same offsets share a line of the file", () => {
  const tables = new Map([
    ["A/A", "[[1,0]]"],
    ["B/B", "[[1,0],[2,3600]]"],
    ["C/C", "[[1,0]]"],
  ]);
  expect(formatComputedTables("2099z", tables)).toBe("2099z\nA/A C/C: 1=0\nB/B: 1=0 2=3600\n");
});
