import { orAbort } from "../../mesh/or-abort.ts";

/** A number of places, each for one at a time. Who finds none waits, in the order of arrival. */
export interface Slots {
  /** Takes a place. Returns the function that gives it back. Throws the signal's reason if it is aborted before. */
  enter(signal: AbortSignal): Promise<() => void>;
  /** Returns whether no place is taken. */
  isEmpty(): boolean;
}

/** Makes `count` places. */
export function createSlots(count: number): Slots {
  let taken = 0;
  const waiting = new Set<() => void>();
  const leave = () => {
    const [next] = waiting;
    if (next === undefined) {
      taken--;
      return;
    }
    waiting.delete(next);
    next();
  };
  return {
    enter: async (signal) => {
      if (taken < count) {
        taken++;
        return once(leave);
      }
      const turn = Promise.withResolvers<void>();
      waiting.add(turn.resolve);
      try {
        await orAbort(turn.promise, signal);
      } catch (error) {
        // If its turn has come at the same moment, the place goes to the next one.
        if (!waiting.delete(turn.resolve)) leave();
        throw error;
      }
      return once(leave);
    },
    isEmpty: () => taken === 0,
  };
}

function once(leave: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    leave();
  };
}
