/**
 * Decides when a scan reads everything, and when only its recent part.
 *
 * While somebody holds a snapshot for hours, PostgreSQL removes no dead row, and a scan of everything reads over all
 * rows that were ended since. The recent part stays small. So a full scan takes place from time to time only, and the
 * longer it takes, the less often.
 */
export interface FullScan {
  /** Makes the next scan a full one. */
  request(): void;
  /** Runs `work`, tells it whether to read everything, and returns what it returns. */
  run<T>(work: (isFull: boolean) => Promise<T>): Promise<T>;
}

/** Full scans use at most one part in this many of the time. */
const SHARE = 20;

/** Makes the first scan a full one, and then one each `everyMs` or less often, by a clock in milliseconds. */
export function createFullScan(everyMs: number, clockMs = () => performance.now()): FullScan {
  let startedMs = Number.POSITIVE_INFINITY;
  let nextMs = Number.NEGATIVE_INFINITY;
  return {
    request: () => {
      nextMs = Number.NEGATIVE_INFINITY;
    },
    run: async (work) => {
      const startMs = clockMs();
      // If the clock was set back, nobody knows when the next one is due.
      if (startMs < nextMs && startMs >= startedMs) return work(false);
      const result = await work(true);
      const endMs = clockMs();
      startedMs = startMs;
      nextMs = endMs + Math.max(everyMs, (SHARE - 1) * (endMs - startMs));
      return result;
    },
  };
}
