import { statement } from "../../db/statement.ts";

/**
 * Starts the counts of exhausted triggers of the jobs $1, of the projects $2, anew at $3, because they were resumed or have
 * another target. What ended up to then neither counts nor pauses them, and neither does what is delivered by a revision
 * before those in $4.
 */
export const failingJobsRestart = statement<{ job_uid: string }>(
  "failingJobsRestart",
  `insert into scheduler.failing_jobs as f (job_uid, project_id, restart_time, from_revision)
   select changed.uid, changed.project_id, $3, changed.from_revision
     from unnest($1::text[], $2::text[], $4::integer[]) as changed (uid, project_id, from_revision) order by changed.uid
   on conflict (job_uid) do update
      set exhausted_count = 0, first_time = null, last_time = null, restart_time = excluded.restart_time,
          from_revision = greatest(f.from_revision, excluded.from_revision), pending = null
   returning f.job_uid`,
);

/** Deletes the rows of the jobs $1, because these are deleted. */
export const failingJobsDelete = statement<{ job_uid: string }>(
  "failingJobsDelete",
  "delete from scheduler.failing_jobs where job_uid = any ($1::text[]) returning job_uid",
);

/**
 * Deletes rows that say nothing any more, at most 1,000 of each kind: those without exhausted triggers and with nothing pending
 * that were started anew before $1 at the latest, or never; and those of deleted jobs whose last trigger was exhausted before
 * $1. A job that is deleted while its triggers are counted leaves such a row. Leaves out rows that another transaction has
 * locked.
 */
export const failingJobsDeleteIdle = statement<{ job_uid: string }>(
  "failingJobsDeleteIdle",
  `with idle as materialized (
     select job_uid from scheduler.failing_jobs
      where exhausted_count = 0 and pending is null and restart_time < $1
      order by restart_time limit 1000 for update skip locked
   ), deleted as materialized (
     select f.job_uid from scheduler.failing_jobs f
      where f.exhausted_count > 0 and f.pending is null and f.last_time < $1
        and not exists (select from scheduler.jobs j where j.uid = f.job_uid and j.state <> 'DELETED')
      limit 1000 for update skip locked
   )
   delete from scheduler.failing_jobs
    where job_uid = any (array(select job_uid from idle union all select job_uid from deleted))
   returning job_uid`,
);
