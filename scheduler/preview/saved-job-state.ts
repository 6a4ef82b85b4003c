import { readCarry } from "../job/carry.ts";
import type { JobRow } from "../job/job.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Standing } from "./virtual-job.ts";

/**
 * Where a saved job stands at `nowMs`, as if it were not paused. What has been handed over ahead of its fire time is
 * taken back, because it is still to come; what an outage has kept back is still owed.
 */
export function standingOf(row: JobRow, schedule: CompiledSchedule, nowMs: number): Standing {
  const { waiting, requested } = readCarry(row.carry);
  const owed = row.state === "ACTIVE" && row.next_fire_time !== null && row.next_fire_time <= nowMs;
  const ahead = handedAhead(row, schedule, nowMs);
  return {
    position: {
      nextFireTimeMs: owed ? row.next_fire_time : schedule.nextAfter(nowMs),
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

/** How many triggers were made of fire times that are still to come: some seconds' worth. */
function handedAhead(row: JobRow, schedule: CompiledSchedule, nowMs: number): number {
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
