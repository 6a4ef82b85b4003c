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

describe("the next state after an attempt", () => {
  test("that succeeded is SUCCEEDED, even after the last attempt", () => {
    expect(ended({ kind: "SUCCEEDED", statusCode: 204 }, 8)).toEqual({ state: "SUCCEEDED" });
  });

  test.each([
    ["NOT_SENT", { kind: "NOT_SENT" }],
    ["UNKNOWN", { kind: "UNKNOWN" }],
    ["REJECTED", rejected({ statusCode: 400 })],
  ] as const)(
    "that ended %s is RETRYING, with a pause that doubles from minBackoff to maxBackoff",
    (_, outcome) => {
      const pauses = [1, 2, 3, 4, 5, 6, 7].map((attempt) => pauseMs(ended(outcome, attempt)));
      expect(pauses).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000]);
    },
  );

  test("has a pause that is up to 20 % longer or shorter", () => {
    expect(pauseMs(ended(failed, 1, { random: () => 0 }))).toBe(4_000);
    expect(pauseMs(ended(failed, 1, { random: () => 0.999_999 }))).toBe(6_000);
  });

  test("is EXHAUSTED if it was the last attempt, or if the next would be too late", () => {
    expect(ended(failed, 8)).toEqual({ state: "EXHAUSTED" });
    expect(ended(failed, 9)).toEqual({ state: "EXHAUSTED" });
    expect(ended(failed, 1, { effectiveTimeMs: 1_005_000 - 3_600_000 })).toMatchObject({ state: "RETRYING" });
    expect(ended(failed, 1, { effectiveTimeMs: 1_004_999 - 3_600_000 })).toEqual({ state: "EXHAUSTED" });
    expect(ended(failed, 1, { policy: { ...policy, maxAttempts: 1 } })).toEqual({ state: "EXHAUSTED" });
  });

  test("is EXHAUSTED if the receiver never wants this trigger", () => {
    expect(ended(rejected({ statusCode: 410, isFinal: true }))).toEqual({ state: "EXHAUSTED" });
  });

  test.each([
    [0, 5_000],
    [4_999, 5_499],
    [7_000, 7_700],
    [60_000, 66_000],
    [1e15, 66_000],
  ])(
    "with a Retry-After of %i ms has a pause of %i ms: never shorter than the own pause or the Retry-After, up to maxBackoff",
    (given, pause) => {
      expect(pauseMs(ended(rejected({ retryAfterMs: given })))).toBe(pause);
      expect(
        pauseMs(ended(rejected({ retryAfterMs: given }), 1, { random: () => 0 })),
      ).toBeGreaterThanOrEqual(Math.min(given, 60_000));
    },
  );
});

describe("an attempt, as mayAttempt decides,", () => {
  const at = (attemptCount: number, nowMs: number) =>
    mayAttempt(policy, { attemptCount, attemptBase: 0, effectiveTimeMs: 0 }, nowMs);

  test("is made once however late it is, and again only within maxAge", () => {
    expect(at(0, 1e12)).toBe(true);
    expect(at(1, 3_600_000)).toBe(true);
    expect(at(1, 3_600_001)).toBe(false);
  });

  test("that was lost with its dispatcher is replaced, up to three times beyond the policy's number", () => {
    expect(at(8, 0)).toBe(true);
    expect(at(10, 0)).toBe(true);
    expect(at(11, 0)).toBe(false);
  });

  test("counts only if it started after a backfill last made the trigger due again", () => {
    const since = (attemptCount: number, nowMs: number) =>
      mayAttempt(policy, { attemptCount, attemptBase: 20, effectiveTimeMs: 0 }, nowMs);
    expect(since(20, 1e12)).toBe(true);
    expect(since(30, 0)).toBe(true);
    expect(since(31, 0)).toBe(false);
    expect(since(21, 3_600_001)).toBe(false);
  });
});
