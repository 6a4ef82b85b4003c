import { failure } from "../mesh/errors.ts";
import { isStatementTimeout } from "./pool.ts";

/** How many reads run and wait. */
export interface ReadLimits {
  /** How many reads of one project run at the same time. */
  readonly atOnce: number;
  /** How many further reads of one project wait. Default 64. */
  readonly waiting?: number;
  /** How long a read waits, in milliseconds. Default 2,000. */
  readonly waitMs?: number;
}

/** Shares the connections of a pool among the projects whose customers read. */
export interface ReadShare {
  /**
   * Runs `work` as soon as the project has a free place, and returns its result or throws its error. Reads of one project
   * begin in the order in which they came.
   *
   * Throws TOO_MANY_CALLS when too many reads of the project wait already, or when none of its places becomes free in
   * time. Throws READ_TOO_COSTLY when a statement of `work` has reached the time limit of its pool. Throws the reason of
   * `signal` when it is aborted before `work` begins.
   */
  run<T>(projectId: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

interface Waiter {
  begin(): void;
}

/** The reads of one project. It is forgotten when none is left. */
interface Line {
  running: number;
  readonly waiting: Set<Waiter>;
}

interface Lines {
  readonly atOnce: number;
  readonly waiting: number;
  readonly waitMs: number;
  readonly ofProjects: Map<string, Line>;
}

const WAITING = 64;
const WAIT_MS = 2_000;
const RETRY_AFTER_MS = 1_000;

/**
 * Returns how many reads of one project may run on a pool: half of its connections, at least one. So another project
 * finds a free connection, however many costly reads one project makes.
 */
export function readsAtOnce(connections: number): number {
  return Math.max(1, Math.floor(connections / 2));
}

/** Creates the share of one pool. */
export function createReadShare({ atOnce, waiting = WAITING, waitMs = WAIT_MS }: ReadLimits): ReadShare {
  const lines: Lines = { atOnce, waiting, waitMs, ofProjects: new Map() };
  return {
    run: async (projectId, signal, work) => {
      signal.throwIfAborted();
      const line = lines.ofProjects.get(projectId) ?? { running: 0, waiting: new Set() };
      lines.ofProjects.set(projectId, line);
      await takePlace(lines, line, signal);
      try {
        return await work();
      } catch (error) {
        throw isStatementTimeout(error) ? failure("READ_TOO_COSTLY", {}, { cause: error }) : error;
      } finally {
        leavePlace(line);
        if (line.running === 0 && line.waiting.size === 0) lines.ofProjects.delete(projectId);
      }
    },
  };
}

function takePlace({ atOnce, waiting, waitMs }: Lines, line: Line, signal: AbortSignal): Promise<void> {
  if (line.running < atOnce) {
    line.running += 1;
    return Promise.resolve();
  }
  if (line.waiting.size >= waiting) return Promise.reject(tooMany());
  return new Promise((resolve, reject) => {
    const stop = (error: unknown) => {
      leave();
      reject(error);
    };
    const onAbort = () => stop(signal.reason);
    const timer = setTimeout(() => stop(tooMany()), waitMs);
    const waiter: Waiter = {
      begin: () => {
        leave();
        resolve();
      },
    };
    const leave = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      line.waiting.delete(waiter);
    };
    signal.addEventListener("abort", onAbort);
    line.waiting.add(waiter);
  });
}

/** Gives the place to the read that has waited longest. It becomes free only when none waits. */
function leavePlace(line: Line): void {
  const [next] = line.waiting;
  if (next === undefined) line.running -= 1;
  else next.begin();
}

function tooMany(): Error {
  return failure("TOO_MANY_CALLS", {}, { retryAfterMs: RETRY_AFTER_MS });
}
