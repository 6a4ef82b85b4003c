import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Stall, startWatchdog } from "./watchdog.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("a loop that does not complete in time is reported once, with what it waits for, and again when it completes", () => {
  const stalls: Stall[] = [];
  const recoveries: unknown[] = [];
  const health: boolean[] = [];
  let sinceMs = 0;
  const watchdog = startWatchdog({
    watched: [
      {
        name: "tick",
        sinceSuccessMs: () => sinceMs,
        limitMs: 5_000,
        waitsFor: () => ({ statement: "jobClaimDue", forMs: 4_000 }),
      },
      { name: "lease", sinceSuccessMs: () => 0, limitMs: 1_000 },
    ],
    onStall: (stall) => stalls.push(stall),
    onRecovery: (name, stalledMs) => recoveries.push([name, stalledMs]),
    onHealth: (isHealthy) => health.push(isHealthy),
  });
  sinceMs = 5_000;
  vi.advanceTimersByTime(1_000);
  expect([stalls, health, watchdog.isHealthy()]).toEqual([[], [], true]);
  sinceMs = 5_001;
  vi.advanceTimersByTime(1_000);
  const waitsFor = { statement: "jobClaimDue", forMs: 4_000 };
  expect(stalls).toEqual([{ name: "tick", sinceMs: 5_001, waitsFor }]);
  expect([health, watchdog.isHealthy()]).toEqual([[false], false]);
  sinceMs = 7_000;
  vi.advanceTimersByTime(1_000);
  sinceMs = 10;
  vi.advanceTimersByTime(1_000);
  expect(stalls).toHaveLength(1);
  expect(recoveries).toEqual([["tick", 7_000]]);
  expect([health, watchdog.isHealthy()]).toEqual([[false, true], true]);
  watchdog.stop();
});
