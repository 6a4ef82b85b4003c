/** What decides how long to wait before the next try. */
export interface Backoff {
  /** The number of the failure: 1 for the first. */
  readonly attempt: number;
  /** The pause after the first failure, in milliseconds, before jitter. */
  readonly minMs: number;
  /** The longest pause, in milliseconds, before jitter. */
  readonly maxMs: number;
  /** By what each pause is longer than the one before. Default 2. */
  readonly multiplier?: number;
  /** How far the pause may be lengthened or shortened at random, as a fraction of it: 0 to 1. */
  readonly jitter: number;
  /** Returns a random number, uniform in [0, 1), as Math.random does. */
  readonly random: () => number;
}

/**
 * Returns the pause in whole milliseconds. It grows by the multiplier with each failure, from `minMs` up to `maxMs`, plus
 * or minus jitter.
 */
export function backoffMs({ attempt, minMs, maxMs, multiplier = 2, jitter, random }: Backoff): number {
  // 2 ** 1024 is Infinity, which Math.min turns into maxMs.
  const pauseMs = Math.min(maxMs, minMs * multiplier ** (Math.max(1, attempt) - 1));
  return Math.round(pauseMs * (1 + jitter * (2 * random() - 1)));
}

/**
 * Returns a pause of at least `pauseMs`, in whole milliseconds, that is longer at random by up to `jitter`, a fraction of
 * it from 0 to 1.
 */
export function longerMs(pauseMs: number, jitter: number, random: () => number): number {
  return Math.round(pauseMs * (1 + jitter * random()));
}
