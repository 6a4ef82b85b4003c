import { afterEach, describe, expect, test } from "vitest";
import type { Clock } from "../../mesh/clock.ts";
import { createDueTimer, type DueTimer } from "./due-timer.ts";

let timer: DueTimer | undefined;
afterEach(() => timer?.stop());

/** Runs a timer for the given due times. Returns, for each, when it was called, by the clock. */
function run(dueTimesMs: readonly number[], clock: Clock): Promise<number[]> {
  const waiting = dueTimesMs.toSorted((a, b) => a - b);
  const calledAtMs: number[] = [];
  return new Promise((resolve) => {
    timer = createDueTimer({
      clock,
      nextDueMs: () => waiting[0],
      onDue: () => {
        const nowMs = clock.now();
        while ((waiting[0] ?? Number.POSITIVE_INFINITY) <= nowMs) {
          waiting.shift();
          calledAtMs.push(nowMs);
        }
        if (waiting.length === 0) resolve(calledAtMs);
      },
    });
    timer.reset();
  });
}

describe("the due timer", () => {
  test("never calls early, whether due times are far apart or close together", async () => {
    const clock: Clock = { now: () => Date.now() };
    for (const stepMs of [0, 1, 7, 31]) {
      const startMs = Date.now() + 20;
      const dueTimesMs = Array.from({ length: 40 }, (_, index) => startMs + index * stepMs);
      const calledAtMs = await run(dueTimesMs, clock);
      expect(calledAtMs.map((at, index) => at >= (dueTimesMs[index] ?? 0))).toEqual(
        dueTimesMs.map(() => true),
      );
    }
  });

  test("notices at a recheck that the clock has stepped forward", async () => {
    let shiftMs = 0;
    const clock: Clock = { now: () => Date.now() + shiftMs };
    const called = run([Date.now() + 3_600_000], clock);
    shiftMs = 3_600_000;
    timer?.recheck();
    expect(await called).toHaveLength(1);
  });

  test("keeps waiting when the clock steps back", async () => {
    let shiftMs = 0;
    const clock: Clock = { now: () => Date.now() + shiftMs };
    const dueMs = Date.now() + 30;
    const called = run([dueMs], clock);
    shiftMs = -40;
    const [calledAtMs = 0] = await called;
    expect(calledAtMs).toBeGreaterThanOrEqual(dueMs);
  });

  test("accepts a due time beyond the longest setTimeout", () => {
    let calls = 0;
    const nextDueMs = () => Date.now() + 2 ** 40;
    timer = createDueTimer({ clock: { now: () => Date.now() }, nextDueMs, onDue: () => calls++ });
    timer.reset();
    expect(calls).toBe(0);
  });
});
