/** How long to wait before another try. */
export interface Backoff {
  /** Which failure this was, from 1. */
  readonly attempt: number;
  /** Pause after the first failure, before jitter. */
  readonly minMs: number;
  /** Longest pause, before jitter. */
  readonly maxMs: number;
  /** Largest shift either way, as a fraction of the pause: 0 to 1. */
  readonly jitter: number;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
}

/** Pause in whole milliseconds: doubles with each failure from `minMs` up to `maxMs`, shifted at random. */
export function backoffMs({ attempt, minMs, maxMs, jitter, random }: Backoff): number {
  // 2 ** 1024 is Infinity, which Math.min turns into maxMs.
  const pauseMs = Math.min(maxMs, minMs * 2 ** (Math.max(1, attempt) - 1));
  return Math.round(pauseMs * (1 + jitter * (2 * random() - 1)));
}
