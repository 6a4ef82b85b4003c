import type { ListedJob } from "../job/jobs.sql.ts";

/**
 * Keeps one project's many due jobs from delaying the jobs of others. Jobs are claimed in the order of their wake times,
 * so a project with tens of thousands of them would fill pass after pass.
 *
 * A project that fills much of a full pass is passed over by the next passes of a round, so the projects take turns. A
 * round ends with a pass that is not full, or after some passes; then the order of the wake times counts again. A claim
 * that passes a project over reads over its due jobs, so rounds take a small part of the time only.
 */
export interface FairShare {
  /** Returns the projects that the next pass is to pass over. Usually there are none. */
  passedOver(): readonly string[];
  /** Tells what a pass has claimed, of at most `maxJobs`, and how long the claim took in milliseconds. */
  claimed(jobs: readonly Pick<ListedJob, "project_id">[], maxJobs: number, tookMs: number): void;
  /**
   * Ends the round, if there is one: there was nothing to claim, or the claim failed after `tookMs` milliseconds. A claim
   * that is too slow because of the projects it passes over would fail again and again, and no project would go on.
   */
  endRound(tookMs: number): void;
}

/** A project that fills more than this part of a full pass is passed over. */
const LARGE_PART = 1 / 8;
/** A round ends after this many passes, so that a project that is passed over does not wait for long. */
const MOST_PASSES = 8;
/** A round ends when its claims have taken this long together. A claim reads over all that is passed over. */
const MOST_ROUND_MS = 250;
/** The claims of rounds take at most one part in this many of the time. */
const TIME_PART = 5;

/** Makes one for the passes of one kind. `clockMs` is any clock in milliseconds. */
export function createFairShare(clockMs: () => number = () => performance.now()): FairShare {
  const over = new Set<string>();
  let passes = 0;
  let tookMs = 0;
  let nextRoundMs = Number.NEGATIVE_INFINITY;
  const endRound = (claimMs: number) => {
    if (over.size === 0) return;
    nextRoundMs = clockMs() + (tookMs + claimMs) * (TIME_PART - 1);
    over.clear();
    passes = 0;
    tookMs = 0;
  };
  return {
    passedOver: () => [...over],
    claimed: (jobs, maxJobs, claimMs) => {
      const isInRound = over.size > 0;
      const isFull = jobs.length >= maxJobs;
      if (isInRound) {
        if (!isFull || passes + 1 >= MOST_PASSES || tookMs + claimMs >= MOST_ROUND_MS)
          return endRound(claimMs);
        passes += 1;
        tookMs += claimMs;
      } else if (!isFull || clockMs() < nextRoundMs) return;
      for (const projectId of largeProjects(jobs, maxJobs * LARGE_PART)) over.add(projectId);
    },
    endRound,
  };
}

function largeProjects(jobs: readonly Pick<ListedJob, "project_id">[], most: number): string[] {
  const counts = new Map<string, number>();
  for (const { project_id: id } of jobs) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts].flatMap(([id, count]) => (count > most ? [id] : []));
}
