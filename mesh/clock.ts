/** Where the time comes from; injected, so that tests can make their own. */
export interface Clock {
  /** Milliseconds since 1970, an integer. May step backwards with the system's clock. */
  now(): number;
}

/** The system's clock. */
export const systemClock: Clock = { now: () => Date.now() };
