/** The entries that handlers work on now. */
export interface EntriesInHand {
  /** How many there are. */
  size(): number;
  /** How many more may be added. */
  free(): number;
  has(id: string): boolean;
  /** Adds an entry until `work` has ended. `work` must not fail. */
  add(id: string, work: Promise<void>): void;
  /**
   * The ids of the entries that are surely still ours, and notes that they are renewed now. An entry that was not
   * renewed in time may have another consumer, from which renewing would take it away.
   */
  toRenew(): string[];
  /** Resolves when an entry can be added. */
  untilFree(): Promise<void>;
  /** Resolves when there is none any more. */
  untilEmpty(): Promise<void>;
}

/** Makes a place for at most `capacity` entries, each of which is ours for `ownedMs` after it was renewed. */
export function createEntriesInHand(
  capacity: number,
  ownedMs: number,
  now: () => number = () => performance.now(),
): EntriesInHand {
  const renewedAtMs = new Map<string, number>();
  const waiting = new Set<() => void>();
  const until = async (isSo: () => boolean) => {
    while (!isSo()) {
      await new Promise<void>((resolve) => {
        waiting.add(resolve);
      });
    }
  };
  return {
    size: () => renewedAtMs.size,
    free: () => capacity - renewedAtMs.size,
    has: (id) => renewedAtMs.has(id),
    add: (id, work) => {
      renewedAtMs.set(id, now());
      void work.finally(() => {
        renewedAtMs.delete(id);
        for (const wake of waiting) wake();
        waiting.clear();
      });
    },
    toRenew: () => {
      const nowMs = now();
      const ours = [...renewedAtMs].filter(([, atMs]) => nowMs - atMs < ownedMs).map(([id]) => id);
      for (const id of ours) renewedAtMs.set(id, nowMs);
      return ours;
    },
    untilFree: () => until(() => renewedAtMs.size < capacity),
    untilEmpty: () => until(() => renewedAtMs.size === 0),
  };
}
