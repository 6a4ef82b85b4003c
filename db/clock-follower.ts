import type { Clock } from "../mesh/clock.ts";

/** One reading of another clock. Times are milliseconds. */
export interface ClockSample {
  /** What the other clock showed, since 1970. */
  readonly otherMs: number;
  /** When it was asked, by the monotonic clock. */
  readonly sentMs: number;
  /** When its answer came, by the monotonic clock. */
  readonly receivedMs: number;
}

/** A clock that follows another one. */
export interface ClockFollower extends Clock {
  /** Takes a reading into account. Returns by how many milliseconds the other clock was found to have gone back, or 0. */
  take(sample: ClockSample): number;
}

/**
 * How much slower the follower runs than the monotonic clock: 0.05 %. The two clocks may differ by that much in speed,
 * which is more than clocks of machines differ, and the most by which ntpd changes the speed of a clock.
 */
const SLOWER = 0.0005;

/** The follower stands still rather than step back, unless that would take longer than this. */
export const MAX_STAND_MS = 5_000;

/**
 * Makes a clock that follows another one between its readings, by a clock that never steps (`monotonicMs`).
 *
 * 1. The other clock showed `otherMs` at some moment between `sentMs` and `receivedMs`. If it was at the end of that
 *    time, the follower must add the least to the monotonic clock. It assumes that, so it is never ahead.
 * 2. Of all readings it uses the one that allows it to add the most. That is the one with the quickest answer. Because
 *    the follower runs a little slower, an old reading loses against a new one.
 * 3. A reading that shows that the follower is ahead all the same proves that the other clock went back, for example
 *    because another server answers now. The follower forgets the readings before it.
 * 4. The time that the follower shows never goes back: it stands still until the other clock has caught up. If that
 *    would take more than MAX_STAND_MS, it steps back.
 *
 * When no readings come, it goes on by the monotonic clock.
 */
export function createClockFollower(first: ClockSample, monotonicMs: () => number): ClockFollower {
  let base = toBase(first);
  let shownMs = Number.NEGATIVE_INFINITY;
  return {
    now: () => {
      const followedMs = Math.floor(base + monotonicMs() * (1 - SLOWER));
      if (followedMs > shownMs || shownMs - followedMs > MAX_STAND_MS) shownMs = followedMs;
      return shownMs;
    },
    take: (sample) => {
      const mostMs = sample.otherMs + (sample.receivedMs - sample.sentMs);
      const aheadMs = base + sample.receivedMs * (1 - SLOWER) - mostMs;
      base = aheadMs > 0 ? toBase(sample) : Math.max(base, toBase(sample));
      return Math.max(0, aheadMs);
    },
  };
}

/** What the follower adds to the monotonic clock, which it runs 0.05 % slower. */
function toBase({ otherMs, receivedMs }: ClockSample): number {
  return otherMs - receivedMs * (1 - SLOWER);
}
