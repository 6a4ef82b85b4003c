import { statement } from "../../db/statement.ts";

/** The alerts of a project. */
export interface ProjectAlertsRow {
  readonly project_id: string;
  /** `{"alerts": …}` as proto3 JSON. */
  readonly spec: string;
  readonly within_ms: number | null;
  /** How many jobs its deliveredWithin held for when they were last counted; 0 without one. */
  readonly job_count: number;
}

/** Reads the alerts of the projects $1. No row for a project without. */
export const projectAlertsRead = statement<ProjectAlertsRow>(
  "projectAlertsRead",
  `select project_id, spec, within_ms, greatest(job_count, page_count) as job_count
     from dispatcher.project_alerts where project_id = any ($1::text[])`,
);

/**
 * Sets the alerts of the project $1 to $2, with deliveredWithin $3 or null, at $4. If deliveredWithin is another one, the
 * project's jobs are read again, page by page.
 */
export const projectAlertsSet = statement<{ spec: string }>(
  "projectAlertsSet",
  `insert into dispatcher.project_alerts as p (project_id, spec, within_ms, set_time, page_time)
   values ($1, $2, $3::bigint, $4::timestamptz, case when $3::bigint is not null then $4::timestamptz end)
   on conflict (project_id) do update
      set spec = excluded.spec, within_ms = excluded.within_ms,
          (set_time, page_time, page_after, page_count) = (
            select case when is_same then p.set_time else excluded.set_time end,
                   case when is_same then p.page_time else excluded.page_time end,
                   case when is_same then p.page_after else '' end,
                   case when is_same then p.page_count else 0 end
              from (select p.within_ms is not distinct from excluded.within_ms as is_same) as s)
   returning spec`,
);

/** Removes the alerts of the project $1. The rows of its jobs are forgotten when they are looked at. */
export const projectAlertsRemove = statement<{ project_id: string }>(
  "projectAlertsRemove",
  `delete from dispatcher.project_alerts where project_id = $1 returning project_id`,
);

/**
 * Reads the next page of jobs, at most $2, of the project that waits for it the longest at $1, and lets them be watched: it
 * gives a row to those that have none, and the project's deliveredWithin to those whose row is there because of the project.
 * Their first looks are spread over 10 ms for each job, and over 10 s at least.
 *
 * After the last page the project is read again a minute after deliveredWithin was set, because a job may have been in the
 * making then, and later once a day. A row that another transaction has locked gets its deliveredWithin when it is looked at,
 * or then. Returns how many jobs the page had; no row if no project waits.
 */
export const projectAlertsPage = statement<{ jobs: number }>(
  "projectAlertsPage",
  `with claimed as materialized (
     select p.project_id, p.within_ms, p.page_after, p.page_count, p.set_time from dispatcher.project_alerts p
      where p.page_time <= $1 order by p.page_time limit 1 for no key update skip locked
   ), page as materialized (
     select c.project_id, c.within_ms, j.uid, j.name,
            $1::timestamptz + random() * greatest(interval '10 s', (c.page_count + $2) * interval '10 ms') as look_time
       from claimed c cross join lateral scheduler.watchable_jobs(c.project_id, c.page_after, $2) as j
   ), added as (
     insert into dispatcher.alert_jobs (job_uid, project_id, within_ms, look_time, held_until, watched_until, of_project)
     select p.uid, p.project_id, p.within_ms, p.look_time, '-infinity', $1, true from page p
      where not exists (select from dispatcher.alert_jobs a where a.job_uid = p.uid) order by p.uid
     on conflict (job_uid) do nothing
   ), other as materialized (
     select a.job_uid from dispatcher.alert_jobs a
      where a.job_uid = any (array(select uid from page)) and a.of_project
        and a.within_ms is distinct from (select within_ms from claimed)
        for no key update skip locked
   ), changed as (
     update dispatcher.alert_jobs a
        set within_ms = p.within_ms, look_time = least(a.look_time, p.look_time), held_until = '-infinity',
            watched_until = case when a.within_ms is null then $1 else a.watched_until end
       from page p where p.uid = a.job_uid and a.job_uid = any (array(select job_uid from other))
   ), counted as materialized (
     select count(*)::integer as jobs, max(name collate "C") as last_name from page
   )
   update dispatcher.project_alerts p
      set (page_time, page_after, page_count, job_count) = (
            select case when n.jobs = $2 then $1
                        when $1 < p.set_time + interval '1 min' then p.set_time + interval '1 min'
                        else $1 + interval '1 day' end,
                   case when n.jobs = $2 then n.last_name else '' end,
                   case when n.jobs = $2 then p.page_count + n.jobs else 0 end,
                   case when n.jobs = $2 then p.job_count else p.page_count + n.jobs end
              from counted n)
    where p.project_id = (select project_id from claimed)
   returning (select jobs from counted) as jobs`,
);
