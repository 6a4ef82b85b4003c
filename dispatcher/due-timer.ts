import type { Clock } from "../mesh/clock.ts";

/** Calls when something is due. */
export interface DueTimer {
  /** To be called whenever what is due first may have changed. */
  reset(): void;
  /** To be called every second or so: the clock may have stepped while the timer ran. */
  recheck(): void;
  stop(): void;
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * One timer for all. setTimeout fires up to 0.7 ms early against the wall clock, so it is set 1 ms before the time,
 * and setImmediate turns until the clock has reached it: `onDue` is never called early, and mostly within 0.5 ms.
 */
export function createDueTimer(parts: {
  readonly clock: Clock;
  /** Epoch milliseconds; undefined when nothing waits. */
  readonly nextDueMs: () => number | undefined;
  readonly onDue: () => void;
}): DueTimer {
  let timeout: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;
  let timeoutForMs: number | undefined;
  let stopped = false;

  const clear = (): void => {
    clearTimeout(timeout);
    clearImmediate(immediate);
    timeout = undefined;
    immediate = undefined;
    timeoutForMs = undefined;
  };

  const arm = (): void => {
    const dueMs = parts.nextDueMs();
    if (stopped || dueMs === undefined) {
      clear();
      return;
    }
    const leftMs = dueMs - parts.clock.now();
    if (leftMs <= 1) {
      if (immediate === undefined) immediate = setImmediate(turn);
      return;
    }
    // A burst of arrivals resets the timer as often as there are arrivals: it stays while the first one does.
    if (timeout !== undefined && timeoutForMs === dueMs) return;
    clear();
    timeoutForMs = dueMs;
    timeout = setTimeout(wake, Math.min(leftMs - 1, MAX_TIMEOUT_MS));
  };

  const wake = (): void => {
    timeout = undefined;
    timeoutForMs = undefined;
    arm();
  };

  const turn = (): void => {
    immediate = undefined;
    const dueMs = parts.nextDueMs();
    if (dueMs !== undefined && dueMs <= parts.clock.now()) parts.onDue();
    arm();
  };

  return {
    reset: arm,
    recheck: () => {
      clear();
      arm();
    },
    stop: () => {
      stopped = true;
      clear();
    },
  };
}
