import { describe, expect, test } from "vitest";
import { loadBetween, quantilesOf, type Sample, toAnswer } from "./arrivals.ts";
import { busyProblem } from "./receiver.ts";

/** Samples at each 20 ms from 0, with a delay and the CPU time of a tenth of a core. */
function samplesOf(lateMs: readonly number[]): Sample[] {
  return lateMs.map((late, index) => ({
    atMs: index * 20,
    cpuMicros: index * 2_000,
    lateMs: late,
    clockMs: 0,
  }));
}

describe("quantilesOf", () => {
  test("takes the nearest rank", () => {
    const quantiles = quantilesOf([10, 20, 30, 40]);
    expect([0, 25, 26, 50, 99, 100].map((percent) => quantiles[percent])).toEqual([10, 10, 20, 20, 40, 40]);
  });

  test("is NaN where there are no values", () => {
    expect(quantilesOf([])).toEqual(Array.from({ length: 101 }, () => Number.NaN));
  });
});

describe("loadBetween", () => {
  test("uses the samples on both sides of a window that has none of its own", () => {
    const { cpuShare, delayP99Ms } = loadBetween(samplesOf([0, 0, 7]), 25, 26);
    expect(cpuShare).toBeCloseTo(0.1);
    expect(delayP99Ms).toBe(7);
  });

  test("weighs one long stall among many samples by its length", () => {
    const late = Array.from({ length: 301 }, (_, index) => (index === 150 ? 200 : 0));
    expect(loadBetween(samplesOf(late), 0, 6_000).delayP99Ms).toBe(200);
  });

  test("knows nothing with fewer than two samples", () => {
    expect(loadBetween(samplesOf([0]), 0, 10).cpuShare).toBeNaN();
  });
});

describe("toAnswer", () => {
  test("tells lost, double and early deliveries of a window of due times apart", () => {
    const arrivals = [
      { dueMs: 100, atMs: 99, isRepeated: false },
      { dueMs: 110, atMs: 112, isRepeated: false },
      { dueMs: 110, atMs: 5_110, isRepeated: true },
      { dueMs: 200, atMs: 201, isRepeated: false },
    ];
    const answer = toAnswer(arrivals, samplesOf([0, 0, 0, 0, 0, 0, 0]), { fromMs: 100, toMs: 200 });
    expect(answer).toMatchObject({ arrived: 2, duplicates: 1, early: 1, inWindow: 1, lastMs: 112 });
  });
});

describe("busyProblem", () => {
  const quantilesMs = (p99Ms: number) => Array.from({ length: 101 }, () => p99Ms);
  const idle = { cpuShare: 0.1, delayP99Ms: 1, clockMs: 0 };

  test.each([
    ["a free receiver", idle, 5, undefined],
    [
      "a delay of 3 ms at a p99 of 5 ms",
      { ...idle, delayP99Ms: 3 },
      5,
      /3\.0 ms late \(p99; at most 2\.0 ms\)/,
    ],
    ["a delay of 3 ms at a p99 of 50 ms", { ...idle, delayP99Ms: 3 }, 50, undefined],
    ["a delay of 300 ms at a p99 of 3 s", { ...idle, delayP99Ms: 300 }, 3_000, /at most 100\.0 ms/],
    ["a full core", { ...idle, cpuShare: 0.95 }, 5, /95 % of a core/],
    ["a clock that jumped", { ...idle, clockMs: 3 }, 5, /clock that jumped by 3\.0 ms/],
    ["no samples", { ...idle, cpuShare: Number.NaN }, 5, /no sample/],
  ])("is right about %s", (_, load, p99Ms, problem) => {
    const found = busyProblem({ ...load, quantilesMs: quantilesMs(p99Ms) });
    if (problem === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(problem);
  });
});
