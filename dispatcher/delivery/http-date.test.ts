import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseHttpDate } from "./http-date.ts";

const nowMs = Date.UTC(2026, 10, 27);
const at = (text: string) => {
  const ms = parseHttpDate(text, nowMs);
  return ms === undefined ? undefined : new Date(ms).toISOString();
};

describe("an HTTP date", () => {
  // The examples of RFC 9110, section 5.6.7.
  test.each(["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])(
    "such as %j is read",
    (text) => {
      expect(at(text)).toBe("1994-11-06T08:49:37.000Z");
    },
  );

  test("with a year of two digits is at most 50 years ahead", () => {
    expect(at("Friday, 27-Nov-76 00:00:00 GMT")).toBe("2076-11-27T00:00:00.000Z");
    expect(at("Saturday, 28-Nov-76 00:00:00 GMT")).toBe("1976-11-28T00:00:00.000Z");
    expect(at("Saturday, 28-Nov-26 00:00:00 GMT")).toBe("2026-11-28T00:00:00.000Z");
  });

  test("may name a leap second, which is the next second", () => {
    expect(at("Sat, 31 Dec 2016 23:59:60 GMT")).toBe("2017-01-01T00:00:00.000Z");
  });

  test.each([
    "Sat, 29 Feb 2027 00:00:00 GMT",
    "Tue, 31 Nov 2026 00:00:00 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:00 GMT",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "sun, 06 nov 1994 08:49:37 gmt",
    "Sunday, 06-Nov-1994 08:49:37 GMT",
    "Sun Nov 6 08:49:37 1994",
    "Xyz, 06 Nov 1994 08:49:37 GMT",
    "1994-11-06T08:49:37Z",
    "",
  ])("is not %j", (text) => {
    expect(at(text)).toBeUndefined();
  });

  test("that JavaScript writes is read as the same second", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("9999-12-31"), noInvalidDate: true }), (date) => {
        expect(parseHttpDate(date.toUTCString(), nowMs)).toBe(Math.floor(date.getTime() / 1_000) * 1_000);
      }),
    );
  });
});
