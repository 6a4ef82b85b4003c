import type { Clock } from "../clock.ts";
import { HandlerTimeoutError } from "./once-error.ts";

/** The longest that a handler may run if nothing else is said: 15 minutes. */
export const DEFAULT_MAX_RUN_MS = 900_000;

/** A call with a time limit. */
export interface BoundedRun {
  /** Names the call in the error. */
  readonly id: string;
  readonly maxRunMs: number;
  readonly clock: Clock;
  /** Aborted with the error when the time is up. */
  readonly controller: AbortController;
}

/** Calls `act`. Throws a HandlerTimeoutError, and aborts, when it has not ended within `maxRunMs`. */
export async function runBounded<T>(
  { id, maxRunMs, clock, controller }: BoundedRun,
  act: () => T | Promise<T>,
): Promise<T> {
  let cancel = () => {};
  const timeUp = new Promise<never>((_, fail) => {
    cancel = clock.after(maxRunMs, () => {
      const error = new HandlerTimeoutError(id, maxRunMs);
      controller.abort(error);
      fail(error);
    });
  });
  try {
    return await Promise.race([Promise.resolve().then(act), timeUp]);
  } finally {
    cancel();
  }
}
