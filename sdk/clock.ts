/** A source of the time, and of timers. It is injected, so that tests can set the time. */
export interface Clock {
  /** Returns the present time. */
  now(): Date;
  /** Calls `act` once, after so many milliseconds. Returns the function that cancels this. */
  after(ms: number, act: () => void): () => void;
}

/** The system's clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};
