/** The limits of a flow key, as one job gives them. At least one is set. */
export interface FlowLimits {
  /** Most attempts in flight of all jobs with the key; undefined: no limit. */
  readonly maxInFlight: number | undefined;
  /** Most starts per second of all jobs with the key, more than 0; undefined: no limit. */
  readonly ratePerSecond: number | undefined;
}

/** A wish to start attempts of one flow key. */
export interface FlowRequest {
  /** The project's id, a space, and the customer's key. */
  readonly key: string;
  /** They may differ between the jobs of one key. Those of the request apply to what all jobs of the key have used. */
  readonly limits: FlowLimits;
  /** How many starts are wanted: 1 or more. */
  readonly wanted: number;
}

/** What a request got. */
export interface FlowAnswer {
  /** How many may start now: 0 to `wanted`. */
  readonly granted: number;
  /**
   * If fewer than wanted were granted: after how many milliseconds asking again may help, at least 1. A place that this
   * process releases may help earlier.
   */
  readonly againMs: number;
}

/** Places of a key that are free again. */
export interface FlowRelease {
  readonly key: string;
  readonly count: number;
}

/**
 * Counts what has started of each flow key. One implementation is in this process, another one is shared by all
 * dispatchers. Jobs without a flow key never use it.
 *
 * Rate. The starts of a key are evenly spaced by 1 / ratePerSecond. What was not used is lost, except for BURST_MS: so
 * in any t seconds, at most ratePerSecond * (t + 0.1) + 1 may start. This is GCRA: the key has the time at which its next
 * start is due, and each start moves that time on by 1 / ratePerSecond. If the limits of two jobs differ, each start moves
 * it by the rate of its own job.
 *
 * Places. Each granted start holds one place of its key, with or without maxInFlight, until it is released. With
 * maxInFlight, so many are granted that no more places are held in all. Places of a dispatcher that dies become free by
 * themselves within PLACE_LEASE_MS. The store renews the places of a dispatcher that lives, however long its attempts take.
 */
export interface FlowStore {
  /**
   * Asks for many keys at once: at most MAX_REQUESTS, each with its answer at the same index. A key may be in several
   * requests, which are answered in order. Answers within a second. Never rejects: a store that cannot reach the others
   * decides by what this process alone has started.
   */
  take(requests: readonly FlowRequest[]): Promise<readonly FlowAnswer[]>;
  /**
   * Takes places back that were granted to this process. Does not wait and never throws. The rate stays used, also for a
   * start that was not made.
   */
  release(releases: readonly FlowRelease[]): void;
  /** Releases all places of this process, for at most a second, and ends what the store does by itself. Never rejects. */
  close(): Promise<void>;
}

/** How much of the rate that was not used can be used later, in milliseconds. */
export const BURST_MS = 100;
/** Within this time the places of a dead dispatcher become free. */
export const PLACE_LEASE_MS = 10_000;
/** Most requests of one call. */
export const MAX_REQUESTS = 500;
