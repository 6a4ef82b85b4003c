import { expect, test } from "vitest";
import { parseRetryAfter } from "./retry-after.ts";

const nowMs = Date.UTC(2026, 0, 1, 12, 0, 0);

test.each([
  ["0", 0],
  ["120", 120_000],
  [" 1.5 ", 1_500],
  ["99999999999", 366 * 86_400_000],
  ["Thu, 01 Jan 2026 12:01:00 GMT", 60_000],
  ["Thu, 01 Jan 2026 11:00:00 GMT", 0],
  ["Thursday, 01-Jan-26 12:01:00 GMT", 60_000],
  ["Thu Jan  1 12:01:00 2026", 60_000],
  ["Fri, 31 Dec 9999 23:59:59 GMT", 366 * 86_400_000],
])("a Retry-After of %j is read as %i ms", (text, ms) => {
  expect(parseRetryAfter(text, nowMs)).toBe(ms);
});

test.each([
  undefined,
  "",
  "-5",
  "soon",
  "1e3",
  "Infinity",
  "2026-01-01T12:01:00Z",
  "Thu, 99 Jan 2026 12:01:00 GMT",
])("a Retry-After of %j is ignored", (text) => {
  expect(parseRetryAfter(text, nowMs)).toBeUndefined();
});
