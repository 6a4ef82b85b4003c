import type { Clock } from "../clock.ts";

/** A clock that stands still until it is moved. */
export interface FakeClock extends Clock {
  /**
   * Moves the time forward, and calls the timers that become due in their order, each at its time. Before and after
   * each, lets run what is ready to run.
   */
  advance(ms: number): Promise<void>;
}

interface Timer {
  readonly atMs: number;
  readonly act: () => void;
}

// Kept, so that a test that replaces the global timers does not stop this clock. Only Node and Bun have setImmediate,
// which is quicker.
const { setTimeout: realSetTimeout } = globalThis;
const soon: (act: () => void) => unknown = globalThis.setImmediate ?? ((act) => realSetTimeout(act, 0));

/**
 * Creates a clock that stands at `start`. Default 2027-01-01T00:00:00.000Z.
 *
 * @example
 * ```ts
 * const clock = createFakeClock("2027-01-01T09:00:00Z");
 * clock.after(60_000, () => console.log("A minute has passed."));
 * await clock.advance(60_000);
 * ```
 */
export function createFakeClock(start: Date | string = "2027-01-01T00:00:00.000Z"): FakeClock {
  let nowMs = new Date(start).getTime();
  if (Number.isNaN(nowMs)) throw new RangeError(`${JSON.stringify(start)} is not an instant.`);
  const timers = new Set<Timer>();
  const firstUntil = (endMs: number): Timer | undefined =>
    [...timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
  return {
    now: () => new Date(nowMs),
    after: (ms, act) => {
      const timer = { atMs: nowMs + ms, act };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance: async (ms) => {
      const endMs = nowMs + ms;
      await settle();
      for (let timer = firstUntil(endMs); timer !== undefined; timer = firstUntil(endMs)) {
        timers.delete(timer);
        nowMs = timer.atMs;
        timer.act();
        await settle();
      }
      nowMs = endMs;
      await settle();
    },
  };
}

function settle(): Promise<void> {
  return new Promise((done) => void soon(done));
}
