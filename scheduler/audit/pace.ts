import { setImmediate } from "node:timers/promises";

/** Lets a long computation yield to the other work of the process, and stop when its caller has gone. */
export interface Pace {
  /** Counts one step of the computation and returns whether it is time to yield. */
  shouldYield(): boolean;
  /** Lets the event loop run everything else that is ready. Throws the signal's reason if the signal was aborted. */
  yield(): Promise<void>;
}

/** The number of steps between two yields: a few milliseconds of computing. */
const STEPS_PER_YIELD = 250;

/** Creates the pace of one computation. */
export function createPace(signal?: AbortSignal): Pace {
  let steps = 0;
  return {
    shouldYield: () => {
      steps += 1;
      return steps % STEPS_PER_YIELD === 0;
    },
    yield: async () => {
      await setImmediate();
      signal?.throwIfAborted();
    },
  };
}
