/** What decides how long to wait before the next try. */
export interface Backoff {
  /** The number of the failure: 1 for the first. */
  readonly attempt: number;
  /** The pause after the first failure, in milliseconds, before jitter. */
  readonly minMs: number;
  /** The longest pause, in milliseconds, before jitter. */
  readonly maxMs: number;
  /** How far the pause may be lengthened or shortened at random, as a fraction of it: 0 to 1. */
  readonly jitter: number;
  /** Returns a random number, uniform in [0, 1), as Math.random does. */
  readonly random: () => number;
}

/**
 * Returns the pause in whole milliseconds. It doubles with each failure, from `minMs` up to `maxMs`, plus or minus
 * jitter.
 */
export function backoffMs({ attempt, minMs, maxMs, jitter, random }: Backoff): number {
  // 2 ** 1024 is Infinity, which Math.min turns into maxMs.
  const pauseMs = Math.min(maxMs, minMs * 2 ** (Math.max(1, attempt) - 1));
  return Math.round(pauseMs * (1 + jitter * (2 * random() - 1)));
}
