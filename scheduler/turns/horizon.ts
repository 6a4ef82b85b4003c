import { hashOf } from "./rendezvous.ts";

/** The longest step. With it, a job that fires every second takes a turn every three seconds. */
const MAX_STEP_MS = 3_000;
/**
 * The furthest ahead of its effective time that a trigger is handed over. A dispatcher holds what is due within ten
 * seconds in memory.
 */
const FURTHEST_MS = 9_000;

/**
 * Returns how much further than the look-ahead a turn may look, in milliseconds. It is at most the look-ahead itself, so
 * nothing is handed over more than twice the look-ahead early.
 */
export function stepMsFor(lookAheadMs: number): number {
  return Math.max(0, Math.min(MAX_STEP_MS, lookAheadMs, FURTHEST_MS - lookAheadMs));
}

/**
 * Returns up to which effective time a turn of a job hands triggers over, in epoch milliseconds: the first end of one of
 * the job's steps that is not before `atLeastMs`. So a job that fires several times in a step takes one turn for all of
 * them, and for any other job nothing changes.
 *
 * Steps begin at different moments for different jobs, by the hash of the uid. Otherwise jobs that were created together
 * would all take their turns in the same moment of each step. `stepMs` 0 means no steps.
 */
export function horizonOf(jobUid: string, atLeastMs: number, stepMs: number): number {
  if (stepMs <= 0) return atLeastMs;
  const endMs = hashOf(jobUid) % stepMs;
  return endMs + Math.ceil((atLeastMs - endMs) / stepMs) * stepMs;
}
