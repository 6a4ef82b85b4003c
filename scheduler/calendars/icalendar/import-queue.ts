import { failure } from "../../../mesh/errors.ts";

/** How many imports a queue lets run and wait. */
export interface FairQueueLimits {
  /** How many run at the same time, each for another project. */
  readonly atOnce: number;
  /** How many of one project may wait. */
  readonly waitingOfOne: number;
  /** How many of all projects may wait. */
  readonly waitingOfAll: number;
  /** How long one may wait, in milliseconds. */
  readonly waitMs: number;
}

/** Runs the work of many projects, a few at a time. */
export interface FairQueue {
  /**
   * Runs `work` when it is its turn, and returns its result or throws its error. Throws SERVICE_UNAVAILABLE when too many
   * wait already, or when its turn has not come within `waitMs`.
   */
  run<T>(projectId: string, work: () => Promise<T>): Promise<T>;
}

interface Waiter {
  readonly begin: () => void;
}

interface Queue {
  readonly limits: FairQueueLimits;
  /** The projects whose work is running. */
  readonly running: Set<string>;
  /** The projects whose work waits, in the order of their turns. After a project's work has run, it moves to the end. */
  readonly waiting: Map<string, Waiter[]>;
}

/**
 * Makes a queue in which the projects take turns, and each project has at most one piece of work running. However much
 * one project asks for, another one waits only for the work that is running when it comes.
 */
export function createFairQueue(limits: FairQueueLimits): FairQueue {
  const queue: Queue = { limits, running: new Set(), waiting: new Map() };
  return {
    run: async (projectId, work) => {
      await waitForTurn(queue, projectId);
      try {
        return await work();
      } finally {
        queue.running.delete(projectId);
        moveToEnd(queue, projectId);
        beginNext(queue);
      }
    },
  };
}

function waitForTurn(queue: Queue, projectId: string): Promise<void> {
  const { limits, waiting } = queue;
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
      remove(queue, projectId, waiter);
      reject(unavailable());
    }, limits.waitMs);
    waiting.set(projectId, [...own, waiter]);
    beginNext(queue);
  });
}

/** Begins the work of the projects whose turn it is, as long as there is room. */
function beginNext(queue: Queue): void {
  const { limits, running, waiting } = queue;
  for (const [projectId, waiters] of waiting) {
    if (running.size >= limits.atOnce) return;
    const [next] = waiters;
    if (next === undefined || running.has(projectId)) continue;
    remove(queue, projectId, next);
    running.add(projectId);
    next.begin();
  }
}

function moveToEnd({ waiting }: Queue, projectId: string): void {
  const left = waiting.get(projectId);
  if (left === undefined) return;
  waiting.delete(projectId);
  waiting.set(projectId, left);
}

function remove({ waiting }: Queue, projectId: string, waiter: Waiter): void {
  const left = (waiting.get(projectId) ?? []).filter((each) => each !== waiter);
  if (left.length === 0) waiting.delete(projectId);
  else waiting.set(projectId, left);
}

function unavailable(): Error {
  return failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
}
