-- How many attempts a trigger had when a backfill last made it due again: its retry policy counts from there.
alter table dispatcher.triggers add column attempt_base integer not null default 0;

drop function dispatcher.redeliver;

-- Makes triggers of a job that have come to rest due again, at at_time and under the same id, by the job's present
-- revision and name: the EXHAUSTED and CANCELLED ones among these fire times, and with force the SUCCEEDED ones too. The
-- numbers of attempts go on; the retry policy begins anew. Returns the fire times.
create function dispatcher.redeliver(
  of_project_id text, of_job_uid text, fire_times timestamptz[], force boolean, at_time timestamptz,
  by_revision integer, by_job_name text
)
returns setof timestamptz
language sql volatile security definer set search_path = pg_catalog
as $$
  update dispatcher.triggers t
     set state = 'PENDING', effective_time = at_time, due_time = at_time, end_time = null, start_time = null,
         cancel_time = null, owner = null, attempt_base = t.attempt_count, revision = by_revision,
         job_name = by_job_name
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
     and t.kind <> 'MANUAL' and t.end_time is not null and (force or t.state <> 'SUCCEEDED')
  returning t.fire_time
$$;

revoke execute on function dispatcher.redeliver from public;
grant execute on function dispatcher.redeliver to easycron_scheduler;
