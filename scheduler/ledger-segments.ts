import type { Queryable } from "../db/pool.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import { type EpochRow, epochsOfJob } from "./epochs.sql.ts";
import type { JobRow } from "./job.ts";
import type { ScheduleCache } from "./schedule-cache.ts";

/** A stretch of a job's life in which one state and one revision decide its fire times. Epoch milliseconds. */
export interface Segment {
  readonly state: EpochRow["state"];
  readonly schedule: CompiledSchedule;
  readonly revision: number;
  /** Its fire times are later than this. */
  readonly afterMs: number;
  /** They are not later than this. */
  readonly untilMs: number;
  /** When it began, and why it did if it is a pause. */
  readonly changeMs: number;
  readonly note: string;
}

/**
 * The stretches of a job's life, in order, without those that hold no instant. A change can take effect before an
 * earlier one does (a pause that was about to end by itself is paused anew): then the later change counts.
 */
export async function readSegments(
  on: Queryable,
  schedules: ScheduleCache,
  row: Pick<JobRow, "uid">,
): Promise<Segment[]> {
  const epochs = await on.query(epochsOfJob, [row.uid]);
  const compiled = await schedules.load(
    on,
    epochs.map(({ revision }) => ({ uid: row.uid, revision })),
  );
  const segments: Segment[] = [];
  let untilMs = Number.POSITIVE_INFINITY;
  for (let index = epochs.length - 1; index >= 0; index--) {
    const [epoch, schedule] = [epochs[index], compiled[index]];
    if (epoch === undefined || schedule === undefined) continue;
    const { state, revision, after_time: afterMs, change_time: changeMs, note } = epoch;
    const lastMs = Math.min(untilMs, epoch.end_time ?? untilMs);
    if (afterMs < lastMs && state !== "DELETED") {
      segments.unshift({ state, schedule, revision, afterMs, untilMs: lastMs, changeMs, note });
    }
    untilMs = Math.min(untilMs, afterMs);
  }
  return segments;
}

/** The fire times of segments from `fromMs` on, inclusive, in order, each with its segment. */
export function* fireTimesOf(
  segments: readonly Segment[],
  fromMs: number,
): Generator<{ readonly atMs: number; readonly segment: Segment }> {
  for (const segment of segments) {
    const { schedule, afterMs, untilMs } = segment;
    let atMs = schedule.nextAfter(Math.max(afterMs, fromMs - 1));
    while (atMs !== null && atMs <= untilMs) {
      yield { atMs, segment };
      atMs = schedule.nextAfter(atMs);
    }
  }
}
