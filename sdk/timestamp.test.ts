import { expect, test } from "vitest";
import { toDate } from "./instant.ts";
import { toTimestamp } from "./timestamp.ts";

test.each(["2028-02-29T09:00:00Z", "2027-11-30T23:59:59.999+05:30"])("%s is an instant", (text) => {
  expect(toDate(text)).toEqual(new Date(text));
  expect(toDate(new Date(text))).toEqual(new Date(text));
  expect(toTimestamp(text).seconds).toBe(BigInt(Math.floor(Date.parse(text) / 1_000)));
});

test.each([
  "2027-02-29T09:00:00Z",
  "2027-11-31T09:00:00Z",
  "2027-01-01T24:00:00Z",
  "2027-01-01T23:59:60Z",
  "2027-01-01T09:00:00.0005Z",
  "2027-01-01T09:00:00+99:99",
  "2027-01-01",
  "1 March 2027",
  "",
])("%j is refused, because it names no instant that exists in whole milliseconds", (text) => {
  expect(() => toDate(text)).toThrow(RangeError);
  expect(() => toTimestamp(text)).toThrow(RangeError);
});

test("an invalid Date is refused", () => {
  expect(() => toTimestamp(new Date(Number.NaN))).toThrow(RangeError);
});
