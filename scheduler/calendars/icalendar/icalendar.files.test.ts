import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { importDates } from "./icalendar.ts";

const nowMs = Date.UTC(2026, 2, 1);

// Files as programs write them, made small. The dates are those that RFC 5545 gives; testing/ has the files.
test.each<[file: string, timeZone: string, dates: string[]]>([
  ["until-of-dates-in-utc-yearly", "Europe/London", ["2027-06-12", "2028-06-12"]],
  [
    "until-of-dates-in-utc-monthly",
    "Europe/Berlin",
    ["2027-09-30", "2027-10-28", "2027-11-25", "2027-12-30"],
  ],
  ["leap-day", "UTC", ["2028-02-29"]],
  ["week-number", "UTC", ["2027-09-08", "2028-09-06", "2029-09-05", "2030-09-04"]],
  ["day-number-of-the-year", "UTC", ["2027-03-05", "2028-03-10", "2029-03-09", "2030-03-08"]],
  ["first-and-last-of-the-year", "UTC", ["2027-01-05", "2027-12-28", "2028-01-04", "2028-12-26"]],
  [
    "count-with-months-left-out",
    "America/Toronto",
    ["2027-09-14", "2027-10-12", "2027-11-09", "2028-01-11", "2028-02-08", "2028-03-14", "2028-09-12"],
  ],
  ["higher-sequence", "UTC", ["2027-06-07", "2027-07-05"]],
  ["zone-name-with-escaped-commas", "Europe/Vienna", ["2027-07-09", "2027-12-10"]],
  ["empty-rule", "America/New_York", ["2027-10-04"]],
  ["windows-zone", "Europe/Rome", ["2027-07-14"]],
  ["two-objects", "Europe/Vienna", ["2027-05-03", "2027-05-17"]],
  [
    "commas-and-semicolons-at-the-end",
    "Europe/Vienna",
    ["2027-06-03", "2027-06-07", "2027-06-17", "2027-06-24"],
  ],
  ["zone-called-z", "Europe/Berlin", ["2027-03-09", "2027-03-23"]],
])("the file %s has its right dates", (file, timeZone, dates) => {
  const text = readFileSync(new URL(`./testing/${file}.ics`, import.meta.url), "utf8");
  expect(importDates(text, { timeZone, nowMs })).toEqual(dates);
});
