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
  /** Runs `work`, and tells it whether to read everything. */
  run(work: (isFull: boolean) => Promise<void>): Promise<void>;
}

/** Full scans use at most one part in this many of the time. */
const SHARE = 20;

/** Makes the first scan a full one, and then one each `everyMs` or less often. `elapsedMs` never steps. */
export function createFullScan(everyMs: number, elapsedMs = () => performance.now()): FullScan {
  let nextMs = Number.NEGATIVE_INFINITY;
  return {
    request: () => {
      nextMs = Number.NEGATIVE_INFINITY;
    },
    run: async (work) => {
      const startMs = elapsedMs();
      if (startMs < nextMs) return work(false);
      await work(true);
      const endMs = elapsedMs();
      nextMs = endMs + Math.max(everyMs, (SHARE - 1) * (endMs - startMs));
    },
  };
}
