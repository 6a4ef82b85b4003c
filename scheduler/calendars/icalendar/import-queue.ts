import { failure } from "../../../mesh/errors.ts";

/** How much a queue lets run and wait. */
export interface FairQueueLimits {
  /** Pieces of work that run at a time, each of another project. */
  readonly atOnce: number;
  /** Those of one project that wait at most. */
  readonly waitingOfOne: number;
  /** Those of all projects that wait at most. */
  readonly waitingOfAll: number;
  /** How long one waits at most, milliseconds. */
  readonly waitMs: number;
}

/** Runs pieces of work of projects. */
export interface FairQueue {
  /**
   * Runs a piece of work when it is its turn. Throws what it throws, and SERVICE_UNAVAILABLE when too many wait already,
   * or when its turn has not come in time.
   */
  run<T>(projectId: string, work: () => Promise<T>): Promise<T>;
}

interface Waiter {
  readonly begin: () => void;
}

/**
 * Makes a queue in which projects take turns, and each has one piece of work running at a time: however much one asks
 * for, another waits for no more than the pieces that run when it comes.
 */
export function createFairQueue(limits: FairQueueLimits): FairQueue {
  const running = new Set<string>();
  // In the order of their turns; a project whose work has ended goes to the end.
  const waiting = new Map<string, Waiter[]>();

  function beginNext(): void {
    for (const [projectId, waiters] of waiting) {
      if (running.size >= limits.atOnce) return;
      const [next] = waiters;
      if (next === undefined || running.has(projectId)) continue;
      forget(projectId, next);
      running.add(projectId);
      next.begin();
    }
  }

  function toEnd(projectId: string): void {
    const left = waiting.get(projectId);
    if (left === undefined) return;
    waiting.delete(projectId);
    waiting.set(projectId, left);
  }

  function forget(projectId: string, waiter: Waiter): void {
    const left = (waiting.get(projectId) ?? []).filter((each) => each !== waiter);
    if (left.length === 0) waiting.delete(projectId);
    else waiting.set(projectId, left);
  }

  function turn(projectId: string): Promise<void> {
    const own = waiting.get(projectId) ?? [];
    const all = [...waiting.values()].reduce((sum, { length }) => sum + length, 0);
    if (own.length >= limits.waitingOfOne || all >= limits.waitingOfAll) return Promise.reject(unavailable());
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        begin: () => {
          clearTimeout(timer);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        forget(projectId, waiter);
        reject(unavailable());
      }, limits.waitMs);
      waiting.set(projectId, [...own, waiter]);
      beginNext();
    });
  }

  return {
    run: async (projectId, work) => {
      await turn(projectId);
      try {
        return await work();
      } finally {
        running.delete(projectId);
        toEnd(projectId);
        beginNext();
      }
    },
  };
}

function unavailable(): Error {
  return failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
}
