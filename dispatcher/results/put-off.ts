import { backoffMs } from "../../mesh/backoff.ts";
import type { Result } from "./result.ts";

/**
 * The results that cannot be recorded now, because another transaction has locked their trigger or because PostgreSQL
 * refuses them. Each waits for its next try, so that it does not delay the others. How many there may be is bounded by
 * the pipeline: it claims nothing more for a project with too many.
 */
export interface PutOff {
  readonly size: number;
  /** How many of them wait for at most a second. */
  readonly briefSize: number;
  /** Returns how many results of a project were put off and are not recorded yet, those that are tried now included. */
  countOf(projectId: string): number;
  /**
   * Takes a result, and calls `onDue` after 50 ms, or later after up to a second; after `pauseMs` if that is given.
   * Returns how often in a row it has been put off.
   */
  add(result: Result, pauseMs?: number): number;
  /** To be called for each result that is recorded. */
  recorded(result: Result): void;
  /** Calls `onDue` at once for each result that waits for at most a second. */
  hurry(): void;
}

/** With the pauses below, this many tries take about ten seconds. */
export const LONG_TRIES = 15;
const PAUSE = { minMs: 50, maxMs: 1_000, jitter: 0.2 };

/** Makes an empty list. */
export function createPutOff(parts: {
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  /** Called when a result is to be tried again; it is no longer in the list. */
  readonly onDue: (result: Result) => void;
}): PutOff {
  const { random, onDue } = parts;
  const timers = new Map<Result, NodeJS.Timeout>();
  const brief = new Set<Result>();
  const counts = new Map<string, number>();
  // How often each result was put off.
  const tries = new Map<Result, number>();

  const count = ({ trigger: { projectId } }: Result, change: 1 | -1): void => {
    const sum = (counts.get(projectId) ?? 0) + change;
    if (sum > 0) counts.set(projectId, sum);
    else counts.delete(projectId);
  };

  const takeOut = (result: Result): void => {
    clearTimeout(timers.get(result));
    timers.delete(result);
    brief.delete(result);
    onDue(result);
  };

  return {
    get size() {
      return timers.size;
    },
    get briefSize() {
      return brief.size;
    },
    countOf: (projectId) => counts.get(projectId) ?? 0,
    add: (result, pauseMs) => {
      const attempt = (tries.get(result) ?? 0) + 1;
      tries.set(result, attempt);
      if (attempt === 1) count(result, 1);
      if (pauseMs === undefined) brief.add(result);
      const ms = pauseMs ?? backoffMs({ attempt, ...PAUSE, random });
      timers.set(result, setTimeout(takeOut, ms, result).unref());
      return attempt;
    },
    recorded: (result) => {
      if (tries.delete(result)) count(result, -1);
    },
    hurry: () => {
      for (const result of [...brief]) takeOut(result);
    },
  };
}
