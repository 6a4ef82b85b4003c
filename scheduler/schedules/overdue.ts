import type { CompiledSchedule } from "./compiled-schedule.ts";

/** Most fire times that one turn looks ahead at. */
const LOOK_LIMIT = 100_000;

/** Looks ahead in what an outage has left. */
export interface Overdue {
  /** Whether at least `count` fire times later than `afterMs` are due by `untilMs`. To be asked in ascending order. */
  has(afterMs: number, count: number, untilMs: number): boolean;
}

/**
 * Makes a look ahead for one turn. Each fire time is looked at once, however often it is asked, so that the limit of
 * what is made up for costs no more than working it off. `dueOf` gives null for one that makes no trigger.
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
