import { expect, test } from "vitest";
import { createFullScan } from "./full-scan.ts";

const MINUTE_MS = 60_000;

/** Returns a full scan on a clock of its own, and a function that scans at a time and returns whether it was full. */
function createScan(everyMs: number) {
  let nowMs = 0;
  const scan = createFullScan(everyMs, () => nowMs);
  const at = async (ms: number, tookMs = 0) => {
    nowMs = ms;
    let wasFull = false;
    await scan.run(async (isFull) => {
      wasFull = isFull;
      nowMs += tookMs;
    });
    return wasFull;
  };
  return { scan, at };
}

test("the first scan is full, and then one each period", async () => {
  const { at } = createScan(MINUTE_MS);
  expect([await at(0), await at(1), await at(59_999), await at(60_000), await at(60_001)]).toEqual([
    true,
    false,
    false,
    true,
    false,
  ]);
});

test("a scan that was requested is full", async () => {
  const { scan, at } = createScan(MINUTE_MS);
  await at(0);
  scan.request();
  expect([await at(1), await at(2)]).toEqual([true, false]);
});

test("full scans that take long are made less often, so that they use at most a twentieth of the time", async () => {
  const { at } = createScan(MINUTE_MS);
  await at(0, 10_000);
  expect([await at(70_000), await at(199_999), await at(200_000)]).toEqual([false, false, true]);
});

test("a full scan that fails is made again", async () => {
  const { scan, at } = createScan(MINUTE_MS);
  await expect(scan.run(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
  expect(await at(1)).toBe(true);
});

test("after the clock was set back, the next scan is full", async () => {
  const { at } = createScan(MINUTE_MS);
  await at(1_000_000);
  expect([await at(500_000), await at(500_001)]).toEqual([true, false]);
});
