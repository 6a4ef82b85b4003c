import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_RETRY_POLICY, mayAttempt, nextState, type RetryPolicy } from "./next-state.ts";
import type { Outcome } from "./outcome.ts";
import { parseRetryAfter } from "./retry-after.ts";

const policy: RetryPolicy = {
  ...DEFAULT_RETRY_POLICY,
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
    nextFireTimeMs: null,
    random: () => 0.5,
    ...change,
  });
const pauseMs = (state: ReturnType<typeof nextState>) =>
  state.state === "RETRYING" ? state.dueTimeMs - 1_000_000 : state.state;

describe("the next state after an attempt", () => {
  test("that succeeded is SUCCEEDED, even after the last attempt", () => {
    expect(ended({ kind: "SUCCEEDED", statusCode: 204 }, 8)).toEqual({ state: "SUCCEEDED" });
  });

  test("that succeeded is ACCEPTED until the deadline, if the job wants an acknowledgement; a failure is as always", () => {
    const acknowledged = { acknowledgeWithinMs: 600_000 };
    expect(ended({ kind: "SUCCEEDED", statusCode: 202 }, 8, acknowledged)).toEqual({
      state: "ACCEPTED",
      dueTimeMs: 1_600_000,
    });
    expect(ended(failed, 1, acknowledged)).toEqual(ended(failed));
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

  test("grows by the multiplier instead of doubling", () => {
    const tripled = { policy: { ...policy, multiplier: 3 } };
    expect([1, 2, 3, 4].map((attempt) => pauseMs(ended(failed, attempt, tripled)))).toEqual([
      5_000, 15_000, 45_000, 60_000,
    ]);
    const steady = { policy: { ...policy, multiplier: 1 } };
    expect(pauseMs(ended(failed, 7, steady))).toBe(5_000);
  });

  test("has the listed pauses instead of growing ones, never shorter, and the last one from then on", () => {
    const listed = { policy: { ...policy, delaysMs: [1_000, 90_000, 2_000] }, random: () => 0 };
    const pauses = (outcome: Outcome) => [1, 2, 3, 7].map((n) => pauseMs(ended(outcome, n, listed)));
    expect(pauses(failed)).toEqual([1_000, 90_000, 2_000, 2_000]);
    expect(pauses({ kind: "UNKNOWN", isTimeout: true })).toEqual([1_000, 90_000, 2_000, 2_000]);
    expect(pauses(rejected({ retryAfterMs: 3_000 }))).toEqual([3_000, 90_000, 3_000, 3_000]);
    expect(pauseMs(ended(failed, 1, { ...listed, random: () => 0.999_999 }))).toBe(1_200);
  });

  test.each([
    ["a 429", rejected({ statusCode: 429 })],
    ["a 429 that asks for less", rejected({ statusCode: 429, retryAfterMs: 2_000 })],
    ["a timeout", { kind: "UNKNOWN", isTimeout: true }],
    ["a timeout while connecting", { kind: "NOT_SENT", isTimeout: true }],
  ] as const)("after %s has a pause of at least 60 s, or of maxBackoff", (_, outcome) => {
    expect(pauseMs(ended(outcome, 1, { random: () => 0 }))).toBe(60_000);
    const short = { policy: { ...policy, maxBackoffMs: 20_000 }, random: () => 0 };
    expect(pauseMs(ended(outcome, 1, short))).toBe(20_000);
    expect(pauseMs(ended(failed, 1, { random: () => 0 }))).toBe(4_000);
  });

  test("is EXHAUSTED after a status that the policy does not retry", () => {
    const strict = { policy: { ...policy, nonRetryableStatusCodes: [405, 422] } };
    expect(ended(rejected({ statusCode: 422 }), 1, strict)).toEqual({ state: "EXHAUSTED" });
    expect(ended(rejected({ statusCode: 404 }), 1, strict)).toMatchObject({ state: "RETRYING" });
    expect(ended(rejected({ statusCode: null }), 1, strict)).toMatchObject({ state: "RETRYING" });
    expect(ended({ kind: "SUCCEEDED", statusCode: 422 }, 1, strict)).toEqual({ state: "SUCCEEDED" });
  });

  test("is EXHAUSTED if the next attempt would not come before the next fire time, where the policy says so", () => {
    const giveUp = { policy: { ...policy, giveUpAtNextFireTime: true } };
    const stateBy = (nextFireTimeMs: number | null, change: object = giveUp) =>
      ended(failed, 1, { ...change, nextFireTimeMs }).state;
    expect(stateBy(1_005_001)).toBe("RETRYING");
    expect(stateBy(1_005_000)).toBe("EXHAUSTED");
    expect(stateBy(null)).toBe("RETRYING");
    expect(stateBy(1_005_000, {})).toBe("RETRYING");
  });
});

describe("every pause, whatever the policy and the answer,", () => {
  const durations = fc.integer({ min: 1_000, max: 86_400_000 });
  const policies = fc
    .record({
      minBackoffMs: fc.integer({ min: 1_000, max: 3_600_000 }),
      maxBackoffMs: durations,
      multiplier: fc.double({ min: 1, max: 10, noNaN: true }),
      delaysMs: fc.oneof(fc.constant([]), fc.array(durations, { minLength: 1, maxLength: 100 })),
    })
    .map((given) => ({
      ...DEFAULT_RETRY_POLICY,
      ...given,
      maxAttempts: 101,
      maxAgeMs: Number.MAX_SAFE_INTEGER,
      maxBackoffMs: Math.max(given.minBackoffMs, given.maxBackoffMs),
    }));
  const headers = fc.oneof(
    fc.string(),
    fc.constantFrom("-1", "0", "1e99", "NaN", "99999999999999999999", "Thu, 01 Jan 1970 00:00:00 GMT"),
    fc.integer().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
  );
  const outcomes = fc.oneof(
    fc.constant<Outcome>({ kind: "NOT_SENT" }),
    fc.constant<Outcome>({ kind: "UNKNOWN", isTimeout: true }),
    fc
      .record({ statusCode: fc.constantFrom(409, 429, 500, 503), header: headers })
      .map(({ statusCode, header }) =>
        rejected({ statusCode, retryAfterMs: parseRetryAfter(header, 1_000_000) }),
      ),
  );
  const attempts = fc.integer({ min: 1, max: 100 });
  const randoms = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

  test("is a whole number within the bounds, and changed by at most 20 %", () => {
    fc.assert(
      fc.property(policies, outcomes, attempts, randoms, (given, outcome, attempt, random) => {
        const pause = pauseMs(ended(outcome, attempt, { policy: given, random: () => random }));
        const { delaysMs } = given;
        const [least, most] =
          delaysMs.length === 0
            ? [given.minBackoffMs * 0.8, given.maxBackoffMs * 1.2]
            : [Math.min(...delaysMs), Math.max(...delaysMs, given.maxBackoffMs) * 1.2];
        expect(Number.isSafeInteger(pause)).toBe(true);
        expect(pause).toBeGreaterThanOrEqual(Math.floor(least));
        expect(pause).toBeLessThanOrEqual(Math.ceil(most));
      }),
    );
  });

  test("is at least as long as the one before, with the same luck and without a list", () => {
    fc.assert(
      fc.property(policies, outcomes, attempts, randoms, (given, outcome, attempt, random) => {
        const change = { policy: { ...given, delaysMs: [] }, random: () => random };
        const [one, next] = [attempt, attempt + 1].map((n) =>
          pauseMs(ended(outcome, n, { ...change, policy: { ...change.policy, maxAttempts: 1_000 } })),
        );
        expect(next).toBeGreaterThanOrEqual(Number(one));
      }),
    );
  });
});

describe("an attempt, as mayAttempt decides,", () => {
  const at = (attemptCount: number, nowMs: number) =>
    mayAttempt(policy, { attemptCount, attemptBase: 0, effectiveTimeMs: 0, nextFireTimeMs: null }, nowMs);

  test("is made once however late it is, and again only within maxAge", () => {
    expect(at(0, 1e12)).toBe(true);
    expect(at(1, 3_600_000)).toBe(true);
    expect(at(1, 3_600_001)).toBe(false);
  });

  test("is made once after the next fire time, and not again where the policy gives up then", () => {
    const giveUp = { ...policy, giveUpAtNextFireTime: true };
    const later = (attemptCount: number, given: RetryPolicy) =>
      mayAttempt(given, { attemptCount, attemptBase: 0, effectiveTimeMs: 0, nextFireTimeMs: 60_000 }, 60_000);
    expect([later(0, giveUp), later(1, giveUp), later(1, policy)]).toEqual([true, false, true]);
  });

  test("that was lost with its dispatcher is replaced, up to three times beyond the policy's number", () => {
    expect(at(8, 0)).toBe(true);
    expect(at(10, 0)).toBe(true);
    expect(at(11, 0)).toBe(false);
  });

  test("counts only if it started after a backfill last made the trigger due again", () => {
    const since = (attemptCount: number, nowMs: number) =>
      mayAttempt(policy, { attemptCount, attemptBase: 20, effectiveTimeMs: 0, nextFireTimeMs: null }, nowMs);
    expect(since(20, 1e12)).toBe(true);
    expect(since(30, 0)).toBe(true);
    expect(since(31, 0)).toBe(false);
    expect(since(21, 3_600_001)).toBe(false);
  });
});
