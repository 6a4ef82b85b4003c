import { expect, test } from "vitest";
import { EasyCronError } from "./easycron-error.ts";
import { retry } from "./retry.ts";

/** Fails `failures` times. Returns the pauses that were made. */
async function pausesOf(
  failures: number,
  { random = 0, retryAfterMs = undefined as number | undefined } = {},
) {
  let nowMs = 0;
  let left = failures;
  const pauses: number[] = [];
  const attempt = async () => {
    if (left-- > 0) throw new EasyCronError("no", { code: "UNAVAILABLE", retryAfterMs });
  };
  await retry(attempt, {
    maxRetries: 20,
    timeoutMs: 1_000_000,
    random: () => random,
    now: () => nowMs,
    pause: async (ms) => {
      pauses.push(ms);
      nowMs += ms;
    },
  });
  return pauses;
}

test("the pauses double up to 5 s", async () => {
  expect(await pausesOf(8)).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
});

test("the pauses are shortened by up to half at random", async () => {
  expect(await pausesOf(3, { random: 1 })).toEqual([50, 100, 200]);
});

test("a pause is never shorter than the server asks", async () => {
  expect(await pausesOf(2, { random: 0.5, retryAfterMs: 1_000 })).toEqual([1_100, 1_100]);
});

test("the time is that of all attempts together", async () => {
  let nowMs = 0;
  const lefts: number[] = [];
  const attempt = async (leftMs: number) => {
    lefts.push(leftMs);
    nowMs += 300;
    throw new EasyCronError("no", { code: "UNAVAILABLE" });
  };
  const pause = async (ms: number) => {
    nowMs += ms;
  };
  const call = retry(attempt, { maxRetries: 20, timeoutMs: 1_000, random: () => 0, now: () => nowMs, pause });
  await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(lefts).toEqual([1_000, 600, 100]);
});

test("no call is repeated more often than is set", async () => {
  let calls = 0;
  const attempt = async () => {
    calls += 1;
    throw new EasyCronError("no", { code: "UNAVAILABLE" });
  };
  const pause = async () => {};
  await expect(retry(attempt, { maxRetries: 2, timeoutMs: 60_000, pause })).rejects.toThrow("no");
  expect(calls).toBe(3);
});
