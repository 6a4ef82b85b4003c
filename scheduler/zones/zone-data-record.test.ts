import { afterEach, beforeEach, expect, test } from "vitest";
import { zoneNames } from "../../cron/zone.ts";
import { openBench, type SchedulerBench } from "../testing/bench.ts";
import { readComputedTables } from "./computed-tables.ts";
import { zoneOffsetsAll } from "./zone-data.sql.ts";
import { ownRelease, tablesOf, type ZoneRelease } from "./zone-data.ts";
import { keepFirstRelease, recordRelease } from "./zone-data-record.ts";

const START = Date.UTC(2027, 2, 26, 12);
const HOUR_MS = 3_600_000;
const OWN = ownRelease();
const { signal } = new AbortController();

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** Records a release as the first and keeps it. Counts the zones whose offsets were asked for. */
async function keep({ version, zones }: ZoneRelease, pauseMs: number, names?: readonly string[]) {
  const { database } = bench.parts;
  const asked: string[] = [];
  const counted: ZoneRelease = {
    version,
    zones: (name) => {
      asked.push(name);
      return zones(name);
    },
  };
  await recordRelease(database, counted, { nowMs: START, noticeMs: 0 });
  await keepFirstRelease(database, counted, { pauseMs, signal, ...(names && { names }) });
  const stored = await database.query(zoneOffsetsAll, []);
  return { asked, stored: new Map(stored.map(({ zone, offsets }) => [zone, offsets])) };
}

test("a new database has all zones of this Node's release at once, and none is computed", async () => {
  const { asked, stored } = await keep(OWN, HOUR_MS);
  expect(asked).toEqual([]);
  expect([...stored.keys()].sort()).toEqual(zoneNames());
  expect(stored).toEqual(await readComputedTables(OWN.version));
});

test("a new database has the computed zones of a release that no file has", async () => {
  const names = ["Europe/Paris", "UTC"];
  const { asked, stored } = await keep({ ...OWN, version: "2099z" }, 0, names);
  expect(asked).toEqual(names);
  expect(stored).toEqual(tablesOf(OWN, names));
});

test("a later release of this Node is compared with the one before without computing a zone", async () => {
  const { database } = bench.parts;
  await keep({ ...OWN, version: "1999a" }, 0, ["Europe/Paris"]);
  const zones = () => {
    throw new Error("a zone is computed");
  };
  const later: ZoneRelease = { version: OWN.version, zones };
  const recorded = await recordRelease(database, later, { nowMs: START, noticeMs: 0 });
  expect(recorded).toMatchObject({ isNew: true, changed: [] });
});
