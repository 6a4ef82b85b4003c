import type { Clock } from "../../mesh/clock.ts";

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
 * How soon after a call the next one may come, unless something is due already. At 1,000 triggers a second, evenly
 * spread: 2 ms make half of them 2 ms late and cost 450 µs of CPU each, in both processes; 5 ms make it 4 ms and 360 µs.
 */
const GAP_MS = 3;

/**
 * One timer for all. setTimeout fires up to 0.7 ms early against the wall clock; then setImmediate turns until the
 * clock has reached the time, so `onDue` is never called early, and mostly within 0.5 ms. When the times lie close
 * together it is called every 3 ms or so for all of them: turning for each would keep a core busy at 1,000 a second.
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
  let calledAtMs = Number.NEGATIVE_INFINITY;
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
    if (leftMs <= 0) {
      immediate ??= setImmediate(turn);
      return;
    }
    // A burst of arrivals resets the timer as often as there are arrivals: it stays while the first one does.
    if (timeout !== undefined && timeoutForMs === dueMs) return;
    clear();
    timeoutForMs = dueMs;
    const gapMs = performance.now() - calledAtMs < 2 * GAP_MS ? GAP_MS : 0;
    timeout = setTimeout(wake, Math.min(Math.max(leftMs, gapMs), MAX_TIMEOUT_MS));
  };

  const wake = (): void => {
    timeout = undefined;
    timeoutForMs = undefined;
    turn();
  };

  const turn = (): void => {
    immediate = undefined;
    const dueMs = parts.nextDueMs();
    const leftMs = dueMs === undefined ? Number.POSITIVE_INFINITY : dueMs - parts.clock.now();
    if (leftMs <= 0) {
      calledAtMs = performance.now();
      parts.onDue();
    } else if (leftMs <= 1 && !stopped) {
      immediate = setImmediate(turn);
      return;
    }
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
