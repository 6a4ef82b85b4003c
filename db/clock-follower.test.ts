import fc from "fast-check";
import { expect, test } from "vitest";
import { type ClockSample, createClockFollower, MAX_STAND_MS } from "./clock-follower.ts";

const RUNS = Number(process.env.EASYCRON_PROPERTY_RUNS ?? 200);
const START = Date.UTC(2026, 0, 1);

/** What happens next: a reading with these delays, after a pause. */
const step = fc.record({
  pauseMs: fc.double({ min: 0, max: 3_000, noNaN: true }),
  outMs: fc.double({ min: 0, max: 300, noNaN: true }),
  backMs: fc.double({ min: 0, max: 300, noNaN: true }),
});

/** Two clocks: the monotonic one of this process, and another one that runs at another speed. */
function createClocks(speed: number) {
  const state = { monotonicMs: 1_000, otherMs: START };
  return {
    state,
    monotonicMs: () => state.monotonicMs,
    pass: (ms: number) => {
      state.monotonicMs += ms;
      state.otherMs += ms * speed;
    },
  };
}

type Clocks = ReturnType<typeof createClocks>;

/** Reads the other clock: the question takes `outMs`, and the answer takes `backMs`. */
function read({ state, pass }: Clocks, delays: { outMs: number; backMs: number }): ClockSample {
  const sentMs = state.monotonicMs;
  pass(delays.outMs);
  const { otherMs } = state;
  pass(delays.backMs);
  return { otherMs, sentMs, receivedMs: state.monotonicMs };
}

test("a clock that follows another one is never ahead of it and never goes back, whatever the delays are", () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: -400, max: 400 }),
      (steps, ppm) => {
        const clocks = createClocks(1 + ppm / 1e6);
        const follower = createClockFollower(read(clocks, { outMs: 5, backMs: 5 }), clocks.monotonicMs);
        let beforeMs = follower.now();
        for (const { pauseMs, ...delays } of steps) {
          clocks.pass(pauseMs);
          for (const take of [false, true]) {
            if (take) expect(follower.take(read(clocks, delays))).toBeLessThan(0.01);
            const nowMs = follower.now();
            expect(nowMs).toBeLessThanOrEqual(clocks.state.otherMs);
            expect(nowMs).toBeGreaterThanOrEqual(beforeMs);
            beforeMs = nowMs;
          }
          // No further behind than the way back of the latest answer.
          expect(clocks.state.otherMs - beforeMs).toBeLessThanOrEqual(delays.backMs + 1);
        }
      },
    ),
    { numRuns: RUNS },
  );
});

test("a clock that follows another one keeps to the quickest answer, and follows a step forward at once", () => {
  const clocks = createClocks(1);
  const follower = createClockFollower(read(clocks, { outMs: 1, backMs: 1 }), clocks.monotonicMs);
  follower.take(read(clocks, { outMs: 1, backMs: 200 }));
  expect(clocks.state.otherMs - follower.now()).toBeLessThanOrEqual(2);
  clocks.state.otherMs += 60_000;
  expect(follower.take(read(clocks, { outMs: 1, backMs: 10 }))).toBe(0);
  expect(clocks.state.otherMs - follower.now()).toBeLessThanOrEqual(11);
});

test("a clock that follows another one stands still when that is set back, until it has caught up", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: MAX_STAND_MS - 100 }), (backMs) => {
      const clocks = createClocks(1);
      const follower = createClockFollower(read(clocks, { outMs: 0, backMs: 0 }), clocks.monotonicMs);
      clocks.pass(10_000);
      const shownMs = follower.now();
      clocks.state.otherMs -= backMs;
      expect(follower.take(read(clocks, { outMs: 0, backMs: 0 }))).toBeGreaterThan(backMs - 10);
      for (let waitedMs = 0; waitedMs < backMs - 10; waitedMs += 50) {
        expect(follower.now()).toBe(shownMs);
        clocks.pass(50);
      }
      clocks.pass(100);
      expect(follower.now()).toBeGreaterThan(shownMs);
      expect(clocks.state.otherMs - follower.now()).toBeLessThanOrEqual(7);
    }),
    { numRuns: RUNS },
  );
});

test("a clock that follows another one steps back with it when standing still would take too long", () => {
  const clocks = createClocks(1);
  const follower = createClockFollower(read(clocks, { outMs: 1, backMs: 1 }), clocks.monotonicMs);
  const shownMs = follower.now();
  clocks.state.otherMs -= 3_600_000;
  expect(follower.take(read(clocks, { outMs: 1, backMs: 1 }))).toBeGreaterThan(3_599_000);
  expect(follower.now()).toBeLessThan(shownMs - 3_599_000);
});

test("a clock that follows another one goes on while there are no readings", () => {
  const clocks = createClocks(1);
  const follower = createClockFollower(read(clocks, { outMs: 1, backMs: 1 }), clocks.monotonicMs);
  clocks.pass(3_600_000);
  // Half a millisecond a second behind.
  expect(clocks.state.otherMs - follower.now()).toBeLessThan(1_805);
});
