/** Triggers of a job that were exhausted in a row. Times are epoch milliseconds. */
export interface RunOfExhausted {
  readonly count: number;
  /** When the first of them ended; null if there is none. */
  readonly firstMs: number | null;
  /** When the last of them ended; null if there is none. */
  readonly lastMs: number | null;
}

/** When a job is disabled. Source: easycron.v1.AutoDisable. */
export interface AutoDisablePolicy {
  readonly afterExhausted: number;
  readonly afterMs: number;
  readonly off: boolean;
}

/** Adds the ends of exhausted triggers to a run. */
export function addEnds(run: RunOfExhausted, endsMs: readonly number[]): RunOfExhausted {
  let { count, firstMs, lastMs } = run;
  for (const endMs of endsMs) {
    count += 1;
    firstMs = Math.min(firstMs ?? endMs, endMs);
    lastMs = Math.max(lastMs ?? endMs, endMs);
  }
  return { count, firstMs, lastMs };
}

/** Whether a run disables its job: it has enough triggers, and they ended over a long enough time. */
export function isTooLong({ count, firstMs, lastMs }: RunOfExhausted, policy: AutoDisablePolicy): boolean {
  if (policy.off || count < Math.max(2, policy.afterExhausted)) return false;
  return firstMs !== null && lastMs !== null && lastMs - firstMs >= policy.afterMs;
}
