import { statement } from "../../db/statement.ts";

/** One epoch of a job: the time between two changes of it. Times are epoch milliseconds. */
export interface EpochRow {
  readonly epoch: number;
  readonly state: "ACTIVE" | "PAUSED" | "DISABLED" | "DELETED";
  readonly revision: number;
  /** All fire times of the epoch are later than this. */
  readonly after_time: number;
  /** No fire time of the epoch is later than this; null when it has no such end. */
  readonly end_time: number | null;
  readonly change_time: number;
  readonly note: string;
}

/** Adds epochs. The arrays are: jobs, epochs, states, revisions, after_times, end_times, change_times, notes. */
export const epochsInsert = statement<{ epoch: number }>(
  "epochsInsert",
  `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, end_time, change_time, note)
   select * from unnest($1::text[], $2::integer[], $3::text[], $4::integer[], $5::timestamptz[], $6::timestamptz[],
                        $7::timestamptz[], $8::text[])
   returning epoch`,
);

/** Records for each job $1, in its epoch $2, that it has no fire time later than $3. */
export const epochEnd = statement<{ job_uid: string }>(
  "epochEnd",
  `update scheduler.epochs e set end_time = ended.end_time
     from unnest($1::text[], $2::integer[], $3::timestamptz[]) as ended (job_uid, epoch, end_time)
    where e.job_uid = ended.job_uid and e.epoch = ended.epoch returning e.job_uid`,
);

/** An epoch with the end of its fire times. */
export interface SegmentRow extends EpochRow {
  /**
   * No fire time of the epoch is later than this, because a later epoch begins or the job has fired `maxFires` times;
   * null when neither has happened.
   */
  readonly last_time: number | null;
}

/**
 * Returns the epochs of job $1 that can have fire times from $2 on and before $3, in order. A later change may take
 * effect before an earlier one: from then on the later epoch counts.
 */
export const epochsOverlapping = statement<SegmentRow>(
  "epochsOverlapping",
  `select epoch, state, revision, after_time, end_time, change_time, note, last_time
     from (select *, least(end_time, min(after_time) over (
                       order by epoch rows between 1 following and unbounded following)) as last_time
             from scheduler.epochs where job_uid = $1) as e
    where state <> 'DELETED' and after_time < coalesce(last_time, 'infinity') and after_time < $3
      and coalesce(last_time, 'infinity') >= $2
    order by epoch`,
);

/** Returns the last epoch of job $1 that begins before $2, whether it has fire times or not. */
export const epochBefore = statement<EpochRow>(
  "epochBefore",
  `select epoch, state, revision, after_time, end_time, change_time, note
     from scheduler.epochs where job_uid = $1 and after_time < $2 order by epoch desc limit 1`,
);

/**
 * Returns when the pause or the disabling began that epoch $2 of job $1 belongs to. It can have several epochs, because
 * each change of the job begins a new one.
 */
export const pauseBegin = statement<{ change_time: number | null }>(
  "pauseBegin",
  `select min(change_time) as change_time from scheduler.epochs
    where job_uid = $1 and epoch <= $2 and epoch > coalesce(
      (select max(epoch) from scheduler.epochs where job_uid = $1 and epoch <= $2
                              and state <> (select state from scheduler.epochs where job_uid = $1 and epoch = $2)), 0)`,
);
