import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startWatchdog, type Watched } from "./watchdog.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const waitsFor = { statement: "jobClaimDue", forMs: 4_000 };

/** Watches one thing whose last success is set by the test. */
function watchOne(isVital: boolean) {
  const lines: unknown[] = [];
  const health: boolean[] = [];
  const state = { sinceMs: 0 };
  const add = (fields: object, message: string) => lines.push({ message, ...fields });
  const tick: Watched = {
    name: "tick",
    sinceSuccessMs: () => state.sinceMs,
    limitMs: 5_000,
    isVital,
    waitsFor: () => waitsFor,
  };
  const watchdog = startWatchdog({
    watched: [tick],
    logger: { info: add, error: add },
    onHealth: (isHealthy) => health.push(isHealthy),
  });
  const after = (sinceMs: number) => {
    state.sinceMs = sinceMs;
    vi.advanceTimersByTime(1_000);
  };
  return { watchdog, lines, health, after };
}

test("a vital loop that does not complete in time ends serving, until it completes", () => {
  const { watchdog, lines, health, after } = watchOne(true);
  after(5_000);
  expect([lines, watchdog.isHealthy()]).toEqual([[], true]);
  after(5_001);
  const stalled = { loop: "tick", sinceMs: 5_001, waitsFor };
  const message = "a loop has not completed in time; not serving until it does";
  expect(lines).toEqual([{ message, ...stalled }]);
  expect([health, watchdog.isHealthy()]).toEqual([[false], false]);
  after(7_000);
  expect(lines).toHaveLength(1);
  after(10);
  expect(lines[1]).toEqual({ message: "a loop completes again", loop: "tick", sinceMs: 7_000 });
  expect([health, watchdog.isHealthy()]).toEqual([[false, true], true]);
  watchdog.stop();
});

test("another loop that does not complete in time is only logged", () => {
  const { watchdog, lines, health, after } = watchOne(false);
  after(6_000);
  expect(lines).toEqual([
    { message: "a loop has not completed in time", loop: "tick", sinceMs: 6_000, waitsFor },
  ]);
  expect([health, watchdog.isHealthy()]).toEqual([[], true]);
  watchdog.stop();
});
