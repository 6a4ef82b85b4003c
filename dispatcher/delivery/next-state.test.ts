import { describe, expect, test } from "vitest";
import { mayAttempt, nextState, type RetryPolicy } from "./next-state.ts";
import type { Outcome } from "./outcome.ts";

const policy: RetryPolicy = {
  maxAttempts: 8,
  minBackoffMs: 5_000,
  maxBackoffMs: 60_000,
  maxAgeMs: 3_600_000,
};
const failed: Outcome = { kind: "UNKNOWN" };
const rejected = (change: object): Outcome => ({
  kind: "REJECTED",
  statusCode: 503,
  isFinal: false,
  retryAfterMs: undefined,
  ...change,
});
const ended = (outcome: Outcome, attempt = 1, change: object = {}) =>
  nextState({
    outcome,
    policy,
    attempt,
    nowMs: 1_000_000,
    effectiveTimeMs: 1_000_000,
    random: () => 0.5,
    ...change,
  });
const pauseMs = (state: ReturnType<typeof nextState>) =>
  state.state === "RETRYING" ? state.dueTimeMs - 1_000_000 : state.state;

describe("after an attempt", () => {
  test("that succeeded, it is SUCCEEDED, be it the last", () => {
    expect(ended({ kind: "SUCCEEDED", statusCode: 204 }, 8)).toEqual({ state: "SUCCEEDED" });
  });

  test.each([
    ["NOT_SENT", { kind: "NOT_SENT" }],
    ["UNKNOWN", { kind: "UNKNOWN" }],
    ["REJECTED", rejected({ statusCode: 400 })],
  ] as const)("that ended %s, the pause doubles from minBackoff to maxBackoff", (_, outcome) => {
    const pauses = [1, 2, 3, 4, 5, 6, 7].map((attempt) => pauseMs(ended(outcome, attempt)));
    expect(pauses).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
  });

  test("the pause is shifted by up to 20 % either way", () => {
    expect(pauseMs(ended(failed, 1, { random: () => 0 }))).toBe(4_000);
    expect(pauseMs(ended(failed, 1, { random: () => 0.999_999 }))).toBe(6_000);
  });

  test("it is EXHAUSTED at the last attempt, or when the next would be too late", () => {
    expect(ended(failed, 8)).toEqual({ state: "EXHAUSTED" });
    expect(ended(failed, 9)).toEqual({ state: "EXHAUSTED" });
    expect(ended(failed, 1, { effectiveTimeMs: 1_005_000 - 3_600_000 })).toMatchObject({ state: "RETRYING" });
    expect(ended(failed, 1, { effectiveTimeMs: 1_004_999 - 3_600_000 })).toEqual({ state: "EXHAUSTED" });
    expect(ended(failed, 1, { policy: { ...policy, maxAttempts: 1 } })).toEqual({ state: "EXHAUSTED" });
  });

  test("that the receiver never wants, it is EXHAUSTED at once", () => {
    expect(ended(rejected({ statusCode: 410, isFinal: true }))).toEqual({ state: "EXHAUSTED" });
  });

  test.each([
    [0, 5_000],
    [4_999, 5_499],
    [7_000, 7_700],
    [60_000, 66_000],
    [1e15, 66_000],
  ])(
    "a Retry-After of %i ms makes a pause of %i ms: never shorter than either, up to maxBackoff",
    (given, pause) => {
      expect(pauseMs(ended(rejected({ retryAfterMs: given })))).toBe(pause);
      expect(
        pauseMs(ended(rejected({ retryAfterMs: given }), 1, { random: () => 0 })),
      ).toBeGreaterThanOrEqual(Math.min(given, 60_000));
    },
  );
});

describe("an attempt", () => {
  const at = (attemptCount: number, nowMs: number) =>
    mayAttempt(policy, { attemptCount, attemptBase: 0, effectiveTimeMs: 0 }, nowMs);

  test("is made once however late, and again within maxAge", () => {
    expect(at(0, 1e12)).toBe(true);
    expect(at(1, 3_600_000)).toBe(true);
    expect(at(1, 3_600_001)).toBe(false);
  });

  test("is made in place of one that was lost with its dispatcher, three times beyond the policy's number", () => {
    expect(at(8, 0)).toBe(true);
    expect(at(10, 0)).toBe(true);
    expect(at(11, 0)).toBe(false);
  });

  test("counts from when a backfill last made the trigger due again", () => {
    const since = (attemptCount: number, nowMs: number) =>
      mayAttempt(policy, { attemptCount, attemptBase: 20, effectiveTimeMs: 0 }, nowMs);
    expect(since(20, 1e12)).toBe(true);
    expect(since(30, 0)).toBe(true);
    expect(since(31, 0)).toBe(false);
    expect(since(21, 3_600_001)).toBe(false);
  });
});
