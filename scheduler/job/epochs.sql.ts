import { statement } from "../../db/statement.ts";

/** One epoch of a job. Times are epoch milliseconds. */
export interface EpochRow {
  readonly epoch: number;
  readonly state: "ACTIVE" | "PAUSED" | "DELETED";
  readonly revision: number;
  /** Its fire times are later than this. */
  readonly after_time: number;
  /** No later fire time exists; null when there is no such end. */
  readonly end_time: number | null;
  readonly change_time: number;
  readonly note: string;
}

/** Adds an epoch: job, epoch, state, revision, after, end, time of the change, note. */
export const epochInsert = statement<{ epoch: number }>(
  "epochInsert",
  `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, end_time, change_time, note)
   values ($1, $2, $3, $4, $5, $6, $7, $8) returning epoch`,
);

/** Records that jobs ($1, in epochs $2) have no fire time later than $3. */
export const epochEnd = statement<{ job_uid: string }>(
  "epochEnd",
  `update scheduler.epochs e set end_time = ended.end_time
     from unnest($1::text[], $2::integer[], $3::timestamptz[]) as ended (job_uid, epoch, end_time)
    where e.job_uid = ended.job_uid and e.epoch = ended.epoch returning e.job_uid`,
);

/** An epoch with where its fire times end. */
export interface SegmentRow extends EpochRow {
  /** Its fire times are not later than this: a later epoch begins, or it has fired as often as it may. Null: no end. */
  readonly last_time: number | null;
}

/**
 * A job's epochs that have fire times from $2 on and before $3, in order. A later change may take effect before an
 * earlier one does: then the later one counts.
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

/** The last epoch of a job that begins before $2, whether it has fire times or not. */
export const epochBefore = statement<EpochRow>(
  "epochBefore",
  `select epoch, state, revision, after_time, end_time, change_time, note
     from scheduler.epochs where job_uid = $1 and after_time < $2 order by epoch desc limit 1`,
);

/** When the pause that the epoch $2 of a job belongs to began: changes of a paused job begin epochs of their own. */
export const pauseBegin = statement<{ change_time: number | null }>(
  "pauseBegin",
  `select min(change_time) as change_time from scheduler.epochs
    where job_uid = $1 and epoch <= $2 and epoch > coalesce(
      (select max(epoch) from scheduler.epochs where job_uid = $1 and epoch <= $2 and state <> 'PAUSED'), 0)`,
);
