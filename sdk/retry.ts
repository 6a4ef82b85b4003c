import { CancelledError, EasyCronError } from "./easycron-error.ts";

const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

/** How a call is repeated. */
export interface RetrySettings {
  /** How often a failed call is repeated at most. 0: never. */
  readonly maxRetries: number;
  /** How long the call may take with all its repetitions, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The random number from 0 to 1 by which a pause is changed. Default Math.random. */
  readonly random?: () => number;
  /** The clock, in milliseconds. Default Date.now. */
  readonly now?: () => number;
  /** Waits, and fails when the signal is aborted. */
  readonly pause?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * Calls `attempt` until it succeeds. Repeats it after an error that a repetition may cure: UNAVAILABLE, or
 * RESOURCE_EXHAUSTED if the server says how long to wait. The pauses double from 100 ms to 5 s, each shortened by up to
 * half at random; the server's wish (RetryInfo) is a lower bound. `attempt` gets the milliseconds that are left. Throws
 * the last error when the number of retries or the time is used up.
 */
export async function retry<T>(attempt: (leftMs: number) => Promise<T>, settings: RetrySettings): Promise<T> {
  const { maxRetries, timeoutMs, signal, random = Math.random, now = Date.now, pause = sleep } = settings;
  const untilMs = now() + timeoutMs;
  for (let retries = 0; ; retries++) {
    try {
      return await attempt(Math.max(1, untilMs - now()));
    } catch (error) {
      if (!(error instanceof EasyCronError) || !isCurable(error) || retries >= maxRetries) throw error;
      const pauseMs = pauseOf(retries, error.retryAfterMs, random());
      if (now() + pauseMs >= untilMs) throw error;
      await pause(pauseMs, signal);
    }
  }
}

function isCurable({ code, retryAfterMs }: EasyCronError): boolean {
  return code === "UNAVAILABLE" || (code === "RESOURCE_EXHAUSTED" && retryAfterMs !== undefined);
}

function pauseOf(retries: number, retryAfterMs: number | undefined, random: number): number {
  const backoffMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** retries) * (1 - random / 2);
  if (retryAfterMs === undefined) return backoffMs;
  // Many clients that were told the same pause do not all come back at once.
  return Math.max(backoffMs, retryAfterMs * (1 + random / 5));
}

/** Waits. Throws a CancelledError when the signal is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new CancelledError("The call was aborted.", { code: "CANCELLED", cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
