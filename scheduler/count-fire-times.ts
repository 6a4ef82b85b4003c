import type { CompiledSchedule } from "./compiled-schedule.ts";

/** Counting stops here. */
export const COUNT_LIMIT = 1_000_000;

/** How many fire times are later than `afterMs` and not later than `untilMs`; at most a million are counted. */
export function countFireTimes(
  schedule: Pick<CompiledSchedule, "nextAfter">,
  afterMs: number,
  untilMs: number,
): number {
  let count = 0;
  for (
    let atMs = schedule.nextAfter(afterMs);
    atMs !== null && atMs <= untilMs;
    atMs = schedule.nextAfter(atMs)
  ) {
    count += 1;
    if (count === COUNT_LIMIT) break;
  }
  return count;
}
