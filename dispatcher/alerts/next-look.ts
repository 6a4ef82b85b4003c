import type { Watch } from "../watching/watch.ts";

/** How long a job that fires often is left alone between two looks for its fire times. */
const MIN_PAUSE_MS = 2_000;
/** How long any job with alerts is left alone at most. */
const FORGET_MS = 86_400_000;
/** How long a job whose fire times are judged is left alone at most. */
const MAX_PAUSE_MS = 60_000;
/**
 * A job that is watched because of its project's alerts is left alone for so long for each such job of the project: the jobs
 * of one project take part in 100 looks in a second at most, however many they are.
 */
const PACE_MS = 10;
/** How often a job in trouble is looked at for a success: from the first to the second, ever more rarely. */
const RECOVERY_PAUSE = { minMs: 1_000, maxMs: 30_000, share: 0.1 };

/** What the pause after a look depends on. Times are epoch milliseconds. */
export interface LookedAt {
  /** Whether the job has a deliveredWithin. */
  readonly isWatched: boolean;
  /** Since when it is in trouble; null if it is not. */
  readonly sinceMs: number | null;
  /** How many jobs are watched because of the same alerts of a project; 0 for a job with alerts of its own. */
  readonly sharedBy: number;
  readonly nowMs: number;
}

/** Returns when a job is to be looked at again, if nothing is noted before. Epoch milliseconds. */
export function nextLookMs(
  { nextMs }: Pick<Watch, "nextMs">,
  { isWatched, sinceMs, sharedBy, nowMs }: LookedAt,
): number {
  const { minMs, maxMs, share } = RECOVERY_PAUSE;
  const paceMs = sharedBy * PACE_MS;
  const minPauseMs = Math.max(MIN_PAUSE_MS, paceMs);
  const maxPauseMs = Math.max(MAX_PAUSE_MS, paceMs);
  // A job that has been deleted, or has no alerts any more, is found and forgotten then.
  const times = [nowMs + FORGET_MS];
  // A pause that ends, or a calendar that changes, may bring the next fire time forward.
  if (isWatched)
    times.push(Math.min(Math.max(nextMs ?? nowMs + maxPauseMs, nowMs + minPauseMs), nowMs + maxPauseMs));
  if (sinceMs !== null)
    times.push(nowMs + Math.max(paceMs, Math.min(maxMs, Math.max(minMs, share * (nowMs - sinceMs)))));
  return Math.min(...times);
}
