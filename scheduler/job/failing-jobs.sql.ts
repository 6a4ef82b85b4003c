import { statement } from "../../db/statement.ts";

/**
 * Starts the counts of exhausted triggers of the jobs $1, of the projects $2, anew at $3, because they were resumed. What
 * ended up to then neither counts nor pauses them.
 */
export const failingJobsRestart = statement<{ job_uid: string }>(
  "failingJobsRestart",
  `insert into scheduler.failing_jobs as f (job_uid, project_id, restart_time)
   select resumed.uid, resumed.project_id, $3
     from unnest($1::text[], $2::text[]) as resumed (uid, project_id) order by resumed.uid
   on conflict (job_uid) do update
      set exhausted_count = 0, first_time = null, last_time = null, restart_time = excluded.restart_time, pending = null
   returning f.job_uid`,
);
