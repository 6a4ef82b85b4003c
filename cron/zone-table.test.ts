import { expect, test } from "vitest";
import { nextFireTime } from "./next.ts";
import { createCronSchedule } from "./schedule.ts";
import { createZoneOffsets, offsetAt, zoneOffsets } from "./zone-offsets.ts";
import { fromTable, toTable } from "./zone-table.ts";

test("a zone made from its table has the same offsets, at every change and between", () => {
  for (const name of ["Europe/Paris", "Australia/Lord_Howe", "Africa/Casablanca", "America/Nuuk", "UTC"]) {
    const own = zoneOffsets(name);
    const copy = fromTable(own, toTable(own));
    for (const [second] of toTable(own)) {
      for (const at of [second - 1, second, second + 1, second + 90 * 86_400])
        expect(offsetAt(copy, at * 1000), `${name} at ${at}`).toBe(offsetAt(own, at * 1000));
    }
    for (const time of ["1999-07-01T00:00:00Z", "2019-07-01T00:00:00Z", "2070-07-01T00:00:00Z"])
      expect(offsetAt(copy, Date.parse(time)), `${name} at ${time}`).toBe(offsetAt(own, Date.parse(time)));
  }
});

test("the table of a zone that never changes has one pair", () => {
  expect(toTable(zoneOffsets("UTC"))).toEqual([[Date.UTC(2020, 0, 1) / 1000, 0]]);
});

test("a table is made with less than one question for each six days, and keeps nothing of the zone", () => {
  let questions = 0;
  const { read } = zoneOffsets("Europe/Paris");
  const zone = createZoneOffsets("Europe/Paris", (second) => {
    questions += 1;
    return read(second);
  });
  expect(toTable(zone)).toHaveLength(1 + 2 * 40);
  // 40 years, and for each of the 80 changes the few questions that find its second.
  expect(questions).toBeLessThan((40 * 366) / 6 + 80 * 5);
  expect(zone.years.size).toBe(0);
});

test("another table moves fire times only where it differs", () => {
  const own = zoneOffsets("Europe/Paris");
  const summer2027 = Date.UTC(2027, 2, 28, 1) / 1000;
  const abolished = fromTable(
    own,
    toTable(own).filter(([second]) => second < summer2027),
  );
  const { fields } = createCronSchedule({ expression: "0 9 * * *" });
  const next = (zone: typeof own, after: string) =>
    new Date(nextFireTime(fields, zone, Date.parse(after)) ?? 0).toISOString();
  expect(next(abolished, "2027-03-27T12:00:00Z")).toBe("2027-03-28T08:00:00.000Z");
  expect(next(own, "2027-03-27T12:00:00Z")).toBe("2027-03-28T07:00:00.000Z");
  expect(next(abolished, "2026-07-01T12:00:00Z")).toBe(next(own, "2026-07-01T12:00:00Z"));
});
