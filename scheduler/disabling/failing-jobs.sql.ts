import { statement } from "../../db/statement.ts";

/** The signal because of which a job is to be paused or disabled, as scheduler.failing_jobs keeps it. */
export interface PendingStop {
  readonly kind: "EXHAUSTED" | "GONE" | "RECEIVER";
  readonly trigger: string;
  readonly fireTimeMs: number;
  readonly revision: number;
  readonly endTimeMs: number;
  /** How many triggers in a row were exhausted; 0 with another kind. */
  readonly exhaustedCount: number;
}

/** A row of scheduler.failing_jobs. Times are epoch milliseconds. */
export interface FailingJobRow {
  readonly job_uid: string;
  readonly exhausted_count: number;
  readonly first_time: number | null;
  readonly last_time: number | null;
  /** What ended up to this time does not count; null if everything does. */
  readonly restart_time: number | null;
  /** What was delivered by an earlier revision does not count. */
  readonly from_revision: number;
  readonly pending: PendingStop | null;
}

const COLUMNS = `job_uid, exhausted_count, first_time, last_time, nullif(restart_time, '-infinity') as restart_time,
  from_revision, pending`;

/**
 * Adds rows for those of the jobs $1, of the projects $2, that have none. Returns the jobs, without those that are deleted,
 * which get none.
 */
export const failingJobsAdd = statement<{ uid: string }>(
  "failingJobsAdd",
  `with living as materialized (
     select j.uid, j.project_id
       from unnest($1::text[], $2::text[]) as given (uid, project_id)
       join scheduler.jobs j on j.uid = given.uid and j.project_id = given.project_id
      where j.state <> 'DELETED'
   ), added as (
     insert into scheduler.failing_jobs (job_uid, project_id) select uid, project_id from living order by uid
     on conflict do nothing
   )
   select uid from living`,
);

/** Locks and reads the rows of the jobs $1, without those that another transaction has locked. */
export const failingJobsLock = statement<FailingJobRow>(
  "failingJobsLock",
  `select ${COLUMNS} from scheduler.failing_jobs where job_uid = any ($1::text[])
    order by job_uid for update skip locked`,
);

/** Locks and reads the row of job $1. */
export const failingJobLock = statement<FailingJobRow>(
  "failingJobLock",
  `select ${COLUMNS} from scheduler.failing_jobs where job_uid = $1 for update`,
);

/** Writes rows: jobs, counts, first times, last times, and pending stops as JSON text. */
export const failingJobsWrite = statement<{ job_uid: string }>(
  "failingJobsWrite",
  `update scheduler.failing_jobs f
      set exhausted_count = g.exhausted_count, first_time = g.first_time, last_time = g.last_time,
          pending = g.pending::jsonb
     from unnest($1::text[], $2::integer[], $3::timestamptz[], $4::timestamptz[], $5::text[])
       as g (uid, exhausted_count, first_time, last_time, pending)
    where f.job_uid = g.uid returning f.job_uid`,
);

/** Lists jobs that are to be paused or disabled, at most $1, without those that are set aside at $2. */
export const failingJobsPending = statement<{ job_uid: string; project_id: string }>(
  "failingJobsPending",
  `select job_uid, project_id from scheduler.failing_jobs
    where pending is not null
      and job_uid not in (select s.id from scheduler.set_aside s where s.kind = 'disabling' and s.retry_time > $2)
    order by job_uid limit $1`,
);
