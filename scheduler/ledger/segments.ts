import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { type EpochRow, epochsOverlapping } from "../job/epochs.sql.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/** A period of a job's life in which its state and its revision do not change. Epoch milliseconds. */
export interface Segment {
  readonly epoch: number;
  readonly state: EpochRow["state"];
  readonly schedule: CompiledSchedule;
  readonly revision: number;
  /** Its fire times are later than this. */
  readonly afterMs: number;
  /** Its fire times are not later than this. */
  readonly untilMs: number;
  /** The time of the change that began it. */
  readonly changeMs: number;
  /** The note of the pause; empty if it is not a pause. */
  readonly note: string;
}

/** Reads the segments that may have fire times from `fromMs`, inclusive, to `endMs`, exclusive, in order. */
export async function readSegments(
  on: Queryable,
  schedules: ScheduleCache,
  uid: string,
  { fromMs, endMs }: { readonly fromMs: number; readonly endMs: number },
): Promise<Segment[]> {
  const epochs = await on.query(epochsOverlapping, [uid, toSqlTime(fromMs), toSqlTime(endMs)]);
  const compiled = await schedules.load(
    on,
    epochs.map(({ revision }) => ({ uid, revision })),
  );
  return epochs.flatMap((row, index) => {
    const schedule = compiled[index];
    if (schedule === undefined) return [];
    const { epoch, state, revision, after_time: afterMs, change_time: changeMs, note } = row;
    const untilMs = row.last_time ?? Number.POSITIVE_INFINITY;
    return [{ epoch, state, schedule, revision, afterMs, untilMs, changeMs, note }];
  });
}

/** Yields the fire times of segments from `fromMs` on, inclusive, in order, each with its segment. */
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
