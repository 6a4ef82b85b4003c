import type { CompiledSchedule } from "./compiled-schedule.ts";

/** Counting stops here: some milliseconds of work, which a tick or a call can spare. */
export const COUNT_LIMIT = 50_000;

/** How many fire times are later than `afterMs` and not later than `untilMs`; at most 50,000 are counted. */
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
