import { expect, test } from "vitest";
import { backoffMs } from "./backoff.ts";

const plain = { minMs: 100, maxMs: 1_000, jitter: 0, random: () => 0 };

test("doubles from the shortest pause up to the longest", () => {
  const pauses = [1, 2, 3, 4, 5, 6, 5_000].map((attempt) => backoffMs({ ...plain, attempt }));
  expect(pauses).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
});

test("takes an attempt before the first as the first", () => {
  expect(backoffMs({ ...plain, attempt: 0 })).toBe(100);
});

test("shifts by at most the jitter, both ways", () => {
  expect(backoffMs({ ...plain, attempt: 1, jitter: 0.2, random: () => 0 })).toBe(80);
  expect(backoffMs({ ...plain, attempt: 1, jitter: 0.2, random: () => 0.5 })).toBe(100);
  expect(backoffMs({ ...plain, attempt: 1, jitter: 0.2, random: () => 0.999_999 })).toBe(120);
});
