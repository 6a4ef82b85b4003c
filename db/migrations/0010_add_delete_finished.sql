alter table scheduler.jobs
  -- Whether it is deleted when it is FINISHED and its triggers have come to rest.
  add column delete_finished boolean not null default false;

create index jobs_delete_finished on scheduler.jobs (uid) where delete_finished and state = 'FINISHED';

-- Which of these jobs have any trigger that has not come to rest, backfills and manual runs among them.
create function dispatcher.live_jobs(of_job_uids text[])
returns setof text
language sql stable security definer set search_path = pg_catalog
as $$
  select w.uid from unnest(of_job_uids) as w (uid)
   where exists (select from dispatcher.triggers t where t.job_uid = w.uid and t.end_time is null)
$$;

revoke execute on function dispatcher.live_jobs from public;
grant execute on function dispatcher.live_jobs to easycron_scheduler;
