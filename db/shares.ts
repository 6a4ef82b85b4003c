import { failure } from "../mesh/errors.ts";
import type { Database, Pool } from "./pool.ts";

/** Shares the connections of a pool among projects. */
export interface Shares {
  /**
   * Returns the database for one caller of a project. It uses one of the project's connections at a time, and stops like
   * `Pool.until` when `signal` is aborted. Throws TOO_MANY_CALLS when all connections of the project stay in use for
   * `waitMs`, or when 64 callers of the project wait already.
   */
  of(projectId: string, signal: AbortSignal): Database;
}

/** How the connections are shared. */
export interface ShareLimits {
  /**
   * The most connections that one project uses at once, at least 1 and rounded up. Fewer than the pool has, or one
   * project can take all.
   */
  readonly most: number;
  /** How long a caller waits for one of them, in milliseconds. */
  readonly waitMs: number;
}

/** How many callers of one project wait at most. */
const MAX_WAITING = 64;

/** The connections of one project. It is forgotten when none is in use. */
interface Share {
  inUse: number;
  /** Callers that wait, longest first; each is given a connection by calling its function. */
  readonly waiting: Set<() => void>;
}

/** Makes the shares of a pool. A project that keeps its own connections busy does not take those of others. */
export function createShares(pool: Pick<Pool, "until">, limits: ShareLimits): Shares {
  const shares = new Map<string, Share>();
  const use = async <T>(projectId: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    const share = shares.get(projectId) ?? { inUse: 0, waiting: new Set() };
    shares.set(projectId, share);
    await take(share, limits, signal);
    try {
      return await work();
    } finally {
      give(share);
      if (share.inUse === 0) shares.delete(projectId);
    }
  };
  return {
    of: (projectId, signal) => {
      const database = pool.until(signal);
      return {
        query: (statement, values) => use(projectId, signal, () => database.query(statement, values)),
        transaction: (work) => use(projectId, signal, () => database.transaction(work)),
        snapshot: (work) => use(projectId, signal, () => database.snapshot(work)),
      };
    },
  };
}

function take(share: Share, { most, waitMs }: ShareLimits, signal: AbortSignal): Promise<void> {
  if (share.inUse < most) {
    share.inUse += 1;
    return Promise.resolve();
  }
  if (share.waiting.size >= MAX_WAITING) return Promise.reject(tooMany());
  return new Promise((resolve, reject) => {
    const leave = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      share.waiting.delete(onGiven);
    };
    const onGiven = () => {
      leave();
      resolve();
    };
    const onAbort = () => {
      leave();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      leave();
      reject(tooMany());
    }, waitMs);
    signal.addEventListener("abort", onAbort);
    share.waiting.add(onGiven);
  });
}

function tooMany(): Error {
  return failure("TOO_MANY_CALLS", {}, { retryAfterMs: 1_000 });
}

/** Gives a connection to the caller that has waited longest, or back if nobody waits. */
function give(share: Share): void {
  const [next] = share.waiting;
  if (next === undefined) share.inUse -= 1;
  else next();
}
