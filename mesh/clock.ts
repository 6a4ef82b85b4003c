/** A source of the time. It is injected, so that tests can set the time. */
export interface Clock {
  /** Returns the milliseconds since 1970, an integer. They can go backwards when the system's clock is set. */
  now(): number;
}

/** The system's clock. */
export const systemClock: Clock = { now: () => Date.now() };
