import { expect, test } from "vitest";
import type { DstPolicy } from "./dst-policy.ts";
import { createOnce, createOnceLocal, nextOnceTime } from "./once.ts";

const EARLY: DstPolicy = { gap: "FIRE_AT_END", overlap: "FIRST" };
const LATE: DstPolicy = { gap: "SKIP", overlap: "SECOND" };
const BOTH: DstPolicy = { gap: "SKIP", overlap: "BOTH" };

test("a one-shot fires at its instant and never again", () => {
  const once = createOnce(1_000);
  expect(nextOnceTime(once, 999)).toBe(1_000);
  expect(nextOnceTime(once, 1_000)).toBeNull();
  expect(() => createOnce(Number.NaN)).toThrow(expect.objectContaining({ field: "once.time" }));
});

test.each<[string, string, DstPolicy, string[]]>([
  ["2027-07-01T09:00:00", "Europe/Paris", EARLY, ["2027-07-01T07:00:00.000Z"]],
  ["2027-07-01T09:00", "Europe/Paris", EARLY, ["2027-07-01T07:00:00.000Z"]],
  ["2027-03-28T02:30:00", "Europe/Paris", EARLY, ["2027-03-28T01:00:00.000Z"]],
  ["2027-03-28T02:30:00", "Europe/Paris", LATE, []],
  ["2027-10-31T02:30:00", "Europe/Paris", EARLY, ["2027-10-31T00:30:00.000Z"]],
  ["2027-10-31T02:30:00", "Europe/Paris", LATE, ["2027-10-31T01:30:00.000Z"]],
  ["2027-10-31T02:30:00", "Europe/Paris", BOTH, ["2027-10-31T00:30:00.000Z", "2027-10-31T01:30:00.000Z"]],
  ["2011-12-30T12:00:00", "Pacific/Apia", EARLY, []],
  ["2011-12-31T00:00:00", "Pacific/Apia", EARLY, ["2011-12-30T10:00:00.000Z"]],
  ["1996-01-01T01:30:00", "America/Danmarkshavn", EARLY, ["1996-01-01T03:00:00.000Z"]],
])("a one-shot at %s in %s fires at the right instants", (local, zone, dst, expected) => {
  const { timesMs } = createOnceLocal(local, zone, dst);
  expect(timesMs.map((time) => new Date(time).toISOString())).toEqual(expected);
});

test.each([
  "",
  "2027-03-28",
  "2027-03-28T24:00:00",
  "2027-02-29T00:00:00",
  "2027-13-01T00:00:00",
  "2027-03-28T02:30:00Z",
  "2027-03-28T02:30:00+01:00",
  "2027-03-28 02:30:00",
  "2027-03-28T02:60:00",
  "1900-01-01T00:00:00",
  "2400-01-01T00:00:00",
  "\u0662027-03-28T02:30:00",
])("createOnceLocal refuses the local time %j", (text) => {
  expect(() => createOnceLocal(text, "Europe/Paris")).toThrow(
    expect.objectContaining({ field: "once.localTime" }),
  );
});

test("createOnceLocal refuses an unknown zone", () => {
  expect(() => createOnceLocal("2027-07-01T09:00:00", "Paris")).toThrow(
    expect.objectContaining({ field: "timeZone" }),
  );
});
