import { setImmediate } from "node:timers/promises";

/** Has a long computation let other work of the process go first, and end when nobody waits for it. */
export interface Pace {
  /** Counts one step; whether it is time to rest. */
  shouldYield(): boolean;
  /** Lets everything else have its turn. Throws what the signal was aborted with. */
  yield(): Promise<void>;
}

/** Steps between two rests: a few milliseconds of computing. */
const STEPS_PER_YIELD = 250;

/** Makes the pace of one computation. */
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
