create table scheduler.operations (
  uid text primary key,
  project_id text not null,
  job_uid text not null references scheduler.jobs (uid),
  state text not null check (state in ('RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
  -- The job's revision at the beginning: its fire times are the ones.
  revision integer not null,
  start_time timestamptz not null,
  end_time timestamptz not null,
  force boolean not null,
  max_per_second integer not null check (max_per_second > 0),
  fire_time_count integer not null,
  outside_calendar_count integer not null,
  succeeded_count integer not null,
  active_count integer not null,
  trigger_count integer not null,
  done_count integer not null default 0,
  -- The last fire time that has been dealt with; null at the beginning.
  last_fire_time timestamptz,
  -- When it goes on; null when it has ended.
  wake_time timestamptz,
  error text not null default '',
  create_time timestamptz not null,
  finish_time timestamptz,
  check ((finish_time is null) = (state = 'RUNNING')),
  check ((wake_time is null) = (state <> 'RUNNING'))
);

create index operations_wake on scheduler.operations (wake_time) where wake_time is not null;
create index operations_project on scheduler.operations (project_id, uid desc);

grant select, insert, update, delete on scheduler.operations to easycron_scheduler;

-- Makes triggers of a job that have come to rest due again, at at_time and under the same id: the EXHAUSTED and
-- CANCELLED ones among these fire times, and with force the SUCCEEDED ones too. Attempts go on counting. Returns the
-- fire times.
create function dispatcher.redeliver(
  of_project_id text, of_job_uid text, fire_times timestamptz[], force boolean, at_time timestamptz
)
returns setof timestamptz
language sql volatile security definer set search_path = pg_catalog
as $$
  update dispatcher.triggers t
     set state = 'PENDING', effective_time = at_time, due_time = at_time, end_time = null, start_time = null,
         cancel_time = null, owner = null
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
     and t.kind <> 'MANUAL' and t.end_time is not null and (force or t.state <> 'SUCCEEDED')
  returning t.fire_time
$$;

revoke execute on function dispatcher.redeliver from public;
grant execute on function dispatcher.redeliver to easycron_scheduler;
