import { expect, test } from "vitest";
import { isDuration, isInstant, isMisreadable } from "./time-text.ts";

test.each([
  "2027-02-28T09:00:00Z",
  "2028-02-29T09:00:00Z",
  "2000-02-29T23:59:59.999999999Z",
  "2027-12-31T23:59:59+23:59",
  "0001-01-01T00:00:00Z",
  "9999-12-31T00:00:00-05:30",
])("%s is an instant", (text) => {
  expect(isInstant(text)).toBe(true);
  expect(isMisreadable(text)).toBe(false);
});

test.each([
  "2027-02-29T09:00:00Z",
  "2100-02-29T09:00:00Z",
  "2027-11-31T09:00:00Z",
  "2027-04-31T09:00:00+02:00",
  "2027-00-10T09:00:00Z",
  "2027-13-10T09:00:00Z",
  "2027-01-00T09:00:00Z",
  "2027-01-01T24:00:00Z",
  "2027-01-01T23:60:00Z",
  "2027-01-01T23:59:60Z",
  "2027-01-01T23:59:59+24:00",
  "2027-01-01T23:59:59+00:60",
])("%s is no instant", (text) => {
  expect(isInstant(text)).toBe(false);
  expect(isMisreadable(text)).toBe(true);
});

test("a duration ends with its s", () => {
  for (const text of ["90s", "1.5s", "-0.000000001s"]) {
    expect([isDuration(text), isMisreadable(text)]).toEqual([true, false]);
  }
  for (const text of ["90seconds", "1s ago", "1.s", "1.2.3s"]) {
    expect([isDuration(text), isMisreadable(text)]).toEqual([false, true]);
  }
});
