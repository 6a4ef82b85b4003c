import type { Queryable } from "../../db/pool.ts";
import { type BegunEpoch, beginEpochs } from "../job/begin-epochs.ts";
import { readCarry } from "../job/carry.ts";
import type { TurnRow } from "../job/job.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { COUNT_LIMIT, countFireTimes } from "../schedules/count-fire-times.ts";

/** What `resumeDue` uses. */
export interface ResumeParts {
  readonly schedules: Pick<ScheduleCache, "loadEach">;
  /** Called with a job whose fire times cannot be computed; the job stays paused. */
  readonly onTrouble: (row: TurnRow, error: unknown) => void;
}

/**
 * Resumes locked rows whose pause ends within the look-ahead, and returns how many. The new epoch begins at the end of
 * the pause, not now: a fire time at that very instant fires on time, and an earlier one does not fire. Until then the
 * job still looks paused (`stateAt`), and a change of it is a change of a paused job.
 *
 * It stops early once it has counted 50,000 skipped fire times, as many as are counted for one job. The caller must
 * then call it again; the look-ahead leaves time for that.
 */
export async function resumeDue(
  tx: Queryable,
  parts: ResumeParts,
  rows: readonly TurnRow[],
): Promise<number> {
  const resumed: BegunEpoch[] = [];
  let counted = 0;
  const schedules = rows.length === 0 ? [] : await parts.schedules.loadEach(tx, rows);
  for (const [index, row] of rows.entries()) {
    const schedule = schedules[index];
    if (schedule === undefined || row.pause_until === null) continue;
    const resumption = tryResume(parts, row, schedule, row.pause_until);
    if (resumption === undefined) continue;
    resumed.push(resumption.epoch);
    counted += resumption.skipped;
    if (counted >= COUNT_LIMIT) break;
  }
  await beginEpochs(tx, resumed);
  return resumed.length;
}

/** How a job goes on after its pause. */
interface Resumption {
  readonly epoch: BegunEpoch;
  /** How many fire times the pause skipped; at most 50,000 are counted. */
  readonly skipped: number;
}

/** Decides how one job goes on. If that throws, the job is reported, and undefined is returned. */
function tryResume(
  parts: Pick<ResumeParts, "onTrouble">,
  row: TurnRow,
  schedule: CompiledSchedule | Error,
  endMs: number,
): Resumption | undefined {
  try {
    if (schedule instanceof Error) throw schedule;
    return resume(row, schedule, endMs);
  } catch (error) {
    parts.onTrouble(row, error);
    return undefined;
  }
}

/** Ends the pause of one job at `endMs`. */
function resume(row: TurnRow, schedule: CompiledSchedule, endMs: number): Resumption {
  // The pause may have begun after its end, if the clock was set back in between.
  const afterMs = Math.max(endMs - 1, row.after_time);
  const carry = readCarry(row.carry);
  const { maxFires, deleteFinished } = schedule.policies;
  const hasFiredAll = maxFires > 0 && row.last_seq >= maxFires;
  const skipped = hasFiredAll ? 0 : countFireTimes(schedule, row.after_time, afterMs);
  const nextMs = hasFiredAll ? null : schedule.nextAfter(afterMs);
  const isFinished = nextMs === null && schedule.plan.schedules.length > 0;
  const epoch: BegunEpoch = {
    uid: row.uid,
    epoch: row.epoch + 1,
    state: isFinished ? "FINISHED" : "ACTIVE",
    epochState: "ACTIVE",
    revision: row.revision,
    nextFireTimeMs: nextMs,
    lastFireTimeMs: row.last_fire_time,
    lastSeq: row.last_seq,
    wakeMs: nextMs === null ? null : row.wake_time,
    carry: { ...carry, run: null, skipped: carry.skipped + skipped },
    pauseNote: row.pause_note,
    pauseUntilMs: endMs,
    changeTimeMs: endMs,
    afterMs,
    endMs: hasFiredAll ? afterMs : null,
    note: "",
    deleteFinished,
    disableReason: null,
  };
  return { epoch, skipped };
}
