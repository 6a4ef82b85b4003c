import { setImmediate } from "node:timers/promises";

/** Has a long computation let other work of the process go first, and end when nobody waits for it. */
export interface Pace {
  /** Counts one step; whether it is time to rest. */
  isDue(): boolean;
  /** Lets everything else have its turn. Throws what the signal was aborted with. */
  rest(): Promise<void>;
}

/** Steps between two rests: a few milliseconds of computing. */
const STEPS = 250;

/** Makes the pace of one computation. */
export function createPace(signal?: AbortSignal): Pace {
  let steps = 0;
  return {
    isDue: () => {
      steps += 1;
      return steps % STEPS === 0;
    },
    rest: async () => {
      await setImmediate();
      signal?.throwIfAborted();
    },
  };
}
