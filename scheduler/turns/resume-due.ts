import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { readCarry, toCarryJson } from "../job/carry.ts";
import { epochInsert } from "../job/epochs.sql.ts";
import type { TurnRow } from "../job/job.ts";
import { jobChange } from "../job/jobs.sql.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import { COUNT_LIMIT, countFireTimes } from "../schedules/count-fire-times.ts";

/**
 * Ends the pauses of locked rows whose end comes within the look-ahead, and returns how many. The new epoch begins at
 * the end of the pause, not at this moment: a fire time at that very instant fires, on time, and an earlier one does
 * not. Until then the job still looks paused (`stateAt`), and a change of it is one of a paused job. It stops, and is to be
 * called again, when it has counted as many skipped fire times as one job may have: the look-ahead leaves time for that.
 */
export async function resumeDue(
  tx: Queryable,
  parts: {
    readonly schedules: ScheduleCache;
    /** Told of a job whose schedule cannot be compiled; it stays as it is. */
    readonly onTrouble: (jobUid: string, error: unknown) => void;
  },
  rows: readonly TurnRow[],
): Promise<number> {
  let resumed = 0;
  let counted = 0;
  const schedules = rows.length === 0 ? [] : await parts.schedules.loadEach(tx, rows);
  for (const [index, row] of rows.entries()) {
    const schedule = schedules[index];
    if (schedule === undefined || row.pause_until === null) continue;
    if (schedule instanceof Error) {
      parts.onTrouble(row.uid, schedule);
      continue;
    }
    const afterMs = row.pause_until - 1;
    const carry = readCarry(row.carry);
    const { maxFires } = schedule.policies;
    const spent = maxFires > 0 && row.last_seq >= maxFires;
    const count = spent ? 0 : countFireTimes(schedule, row.after_time, afterMs);
    const skipped = carry.skipped + count;
    const nextMs = spent ? null : schedule.nextAfter(afterMs);
    const over = nextMs === null && schedule.plan.schedules.length > 0;
    await tx.query(jobChange, [
      row.uid,
      over ? "FINISHED" : "ACTIVE",
      row.revision,
      toSqlTimeOrNull(nextMs),
      toSqlTimeOrNull(row.last_fire_time),
      row.last_seq,
      toSqlTimeOrNull(nextMs === null ? null : row.wake_time),
      toCarryJson({ ...carry, run: null, skipped }),
      row.pause_note,
      toSqlTime(row.pause_until),
      toSqlTime(row.pause_until),
      toSqlTime(afterMs),
      schedule.policies.deleteFinished,
    ]);
    const end = spent ? toSqlTime(afterMs) : null;
    const time = toSqlTime(row.pause_until);
    const epoch = row.epoch + 1;
    await tx.query(epochInsert, [row.uid, epoch, "ACTIVE", row.revision, toSqlTime(afterMs), end, time, ""]);
    resumed += 1;
    counted += count;
    if (counted >= COUNT_LIMIT) break;
  }
  return resumed;
}
