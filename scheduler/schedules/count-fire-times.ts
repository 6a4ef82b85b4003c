import type { CompiledSchedule } from "./compiled-schedule.ts";

/** Counting stops at this number. So it takes some milliseconds at most, which a tick or a call can afford. */
export const COUNT_LIMIT = 50_000;

/** Counts the fire times later than `afterMs` and up to `untilMs`, inclusive; at most 50,000 are counted. */
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
