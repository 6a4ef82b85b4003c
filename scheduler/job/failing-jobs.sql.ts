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
