import type { CompiledSchedule } from "./compiled-schedule.ts";

/** Most fire times that one turn looks at ahead of its cursor. */
const LOOK_LIMIT = 100_000;

/** Looks ahead in the backlog of one job. */
export interface Overdue {
  /**
   * Tells whether at least `count` fire times later than `afterMs` are due by `untilMs`. Ask with ascending `afterMs`.
   */
  has(afterMs: number, count: number, untilMs: number): boolean;
}

/**
 * Makes the look-ahead of one turn. It computes each fire time only once, however often `has` is called. So applying
 * `maxCatchup` to a backlog costs no more than catching up would. `dueOf` returns the effective time of a fire time, or
 * null if it makes no trigger.
 */
export function createOverdue(
  schedule: Pick<CompiledSchedule, "nextAfter">,
  dueOf: (fireTimeMs: number) => number | null,
): Overdue {
  const seen: number[] = [];
  let head = 0;
  let looked = 0;
  let lookedToMs = Number.NEGATIVE_INFINITY;
  let ended = false;
  return {
    has: (afterMs, count, untilMs) => {
      while ((seen[head] ?? Number.POSITIVE_INFINITY) <= afterMs) head += 1;
      while (!ended && seen.length - head < count) {
        const next = schedule.nextAfter(Math.max(lookedToMs, afterMs));
        looked += 1;
        const dueMs = next === null ? null : dueOf(next);
        if (next === null || next > untilMs || looked > LOOK_LIMIT) ended = true;
        else if (dueMs !== null && dueMs <= untilMs) seen.push(next);
        if (next !== null) lookedToMs = next;
      }
      return seen.length - head >= count;
    },
  };
}
