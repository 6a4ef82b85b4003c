import { readCarry } from "../job/carry.ts";
import type { JobRow } from "../job/job.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { VirtualJobState } from "./virtual-job.ts";

/**
 * Returns the state of a saved job at `nowMs`, as if it were not paused.
 *
 * - Triggers that were handed over ahead of their fire time are undone, because their fire times are still to come.
 * - Fire times that an outage has delayed are still due.
 */
export function savedJobState(row: JobRow, schedule: CompiledSchedule, nowMs: number): VirtualJobState {
  const { waiting, requested } = readCarry(row.carry);
  const isOverdue = row.state === "ACTIVE" && row.next_fire_time !== null && row.next_fire_time <= nowMs;
  const ahead = countHandedOverAhead(row, schedule, nowMs);
  return {
    position: {
      nextFireTimeMs: isOverdue ? row.next_fire_time : schedule.nextAfter(nowMs),
      lastFireTimeMs: ahead > 0 ? null : row.last_fire_time,
      lastSeq: row.last_seq - ahead,
      carry: {
        waiting: waiting.filter((atMs) => atMs <= nowMs),
        late: [],
        requested,
        run: null,
        skipped: 0,
        missed: 0,
      },
    },
    afterMs: Math.min(row.after_time, nowMs),
    updateMs: Math.min(row.update_time, nowMs),
  };
}

/** Counts the triggers whose fire times are still to come. They cover the look-ahead and a step, a few seconds. */
function countHandedOverAhead(row: JobRow, schedule: CompiledSchedule, nowMs: number): number {
  const { waiting, requested } = readCarry(row.carry);
  const lastMs = row.last_fire_time ?? nowMs;
  let count = 0;
  for (
    let atMs = schedule.nextAfter(nowMs);
    atMs !== null && atMs <= lastMs;
    atMs = schedule.nextAfter(atMs)
  ) {
    if (!waiting.includes(atMs) && !requested.includes(atMs)) count += 1;
    if (count === row.last_seq) break;
  }
  return count;
}
