import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { type EpochRow, epochsOverlapping } from "../job/epochs.sql.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/** A stretch of a job's life in which one state and one revision decide its fire times. Epoch milliseconds. */
export interface Segment {
  readonly epoch: number;
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

/** The stretches of a job's life that have fire times from `fromMs` on and before `endMs`, in order. */
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
