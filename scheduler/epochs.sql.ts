import { statement } from "../db/statement.ts";

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

/** A job's epochs, in order. */
export const epochsOfJob = statement<EpochRow>(
  "epochsOfJob",
  `select epoch, state, revision, after_time, end_time, change_time, note
     from scheduler.epochs where job_uid = $1 order by epoch`,
);
