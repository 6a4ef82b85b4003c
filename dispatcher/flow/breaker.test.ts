import { describe, expect, test } from "vitest";
import type { Outcome } from "../delivery/outcome.ts";
import { countEnded, createFailureWindow, isQuiet, isTripped, verdictOf } from "./breaker.ts";
import { adaptPlaces, createPlaces } from "./places.ts";

const rejected = (statusCode: number | null): Outcome => ({
  kind: "REJECTED",
  statusCode,
  isFinal: false,
  retryAfterMs: undefined,
});

describe("a breaker's window", () => {
  test("trips at 70 % failures of ten or more, and not of nine", () => {
    const window = createFailureWindow(0);
    for (let each = 0; each < 3; each++) countEnded(window, 0, false);
    for (let each = 0; each < 6; each++) countEnded(window, 0, true);
    expect(isTripped(window)).toBe(false);
    countEnded(window, 0, true);
    expect(isTripped(window)).toBe(true);
    countEnded(window, 0, false);
    expect(isTripped(window)).toBe(false);
  });

  test("forgets what ended more than a minute ago", () => {
    const window = createFailureWindow(0);
    for (let each = 0; each < 20; each++) countEnded(window, each * 100, true);
    expect(isTripped(window)).toBe(true);
    countEnded(window, 59_999, false);
    expect(isTripped(window)).toBe(true);
    countEnded(window, 60_000, false);
    expect([isTripped(window), isQuiet(window, 60_000)]).toEqual([false, true]);
    countEnded(window, 10_000_000, true);
    expect(isQuiet(window, 10_000_000)).toBe(false);
  });

  test.each([
    ["ALIVE", { kind: "SUCCEEDED", statusCode: 200 }],
    ["ALIVE", rejected(404)],
    ["ALIVE", rejected(301)],
    ["BUSY", rejected(429)],
    ["BUSY", rejected(503)],
    ["FAILING", rejected(500)],
    ["FAILING", rejected(null)],
    ["FAILING", { kind: "UNKNOWN", isTimeout: true }],
    ["FAILING", { kind: "NOT_SENT" }],
    ["NONE", { kind: "NOT_SENT", isUntried: true }],
  ] as const)("takes a destination as %s after %j", (verdict, outcome) => {
    expect(verdictOf(outcome)).toBe(verdict);
  });
});

describe("the places of a destination", () => {
  test("are halved once a second while it asks for less, down to one", () => {
    const places = createPlaces();
    const counts = [0, 500, 1_000, 2_000, 3_000, 4_000].map((nowMs) => {
      adaptPlaces(places, "BUSY", 16, nowMs);
      return places.count;
    });
    expect(counts).toEqual([8, 8, 4, 2, 1, 1]);
  });

  test("grow by one with as many answers as there are places, and are all there again in the end", () => {
    const places = createPlaces();
    for (const nowMs of [0, 1_000, 2_000]) adaptPlaces(places, "BUSY", 8, nowMs);
    const counts: unknown[] = [];
    for (let answers = 0; answers < 40; answers++) {
      if (adaptPlaces(places, "ALIVE", 8, 3_000)) counts.push([answers + 1, places.count]);
      adaptPlaces(places, "FAILING", 8, 3_000);
    }
    expect(counts).toEqual([
      [1, 2],
      [3, 3],
      [6, 4],
      [10, 5],
      [15, 6],
      [21, 7],
      [28, undefined],
    ]);
  });
});
