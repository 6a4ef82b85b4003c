create schema dispatcher;

-- A dispatcher that lives. What it owns is its own until its lease runs out.
create table dispatcher.instances (
  id text primary key,
  start_time timestamptz not null,
  lease_until timestamptz not null
);

create table dispatcher.triggers (
  -- Derived from (job, fire time), so that two schedulers that race make one row.
  id text collate "C" not null,
  -- Nominal time.
  fire_time timestamptz not null,
  effective_time timestamptz not null,
  -- When the next attempt may start.
  due_time timestamptz not null,
  project_id text not null,
  job_uid text not null,
  job_name text not null,
  revision integer not null,
  kind text not null check (kind in ('SCHEDULED', 'MANUAL')),
  state text not null check (state in ('PENDING', 'RUNNING', 'RETRYING', 'SUCCEEDED', 'EXHAUSTED', 'CANCELLED')),
  seq integer not null,
  previous_fire_time timestamptz,
  next_fire_time timestamptz,
  -- JSON text in place of the job's payload.
  payload text,
  attempt_count integer not null default 0,
  -- The dispatcher that holds it in memory; null when none does.
  owner text collate "C",
  -- Set when it is no longer wanted while an attempt is in flight.
  cancel_time timestamptz,
  create_time timestamptz not null,
  start_time timestamptz,
  end_time timestamptz,
  check ((end_time is not null) = (state in ('SUCCEEDED', 'EXHAUSTED', 'CANCELLED')))
) partition by range (fire_time);

-- The partial indexes ask for end_time, not for state: a claim changes state only, and so stays a heap-only update
-- that touches no index. The room for its second version is the fill factor's (set on each partition).
-- Due order of what nobody holds (owner is null), and of what one dispatcher holds: looking for the first does not
-- read past the second.
create index triggers_live_due on dispatcher.triggers (owner, due_time) where end_time is null;
create index triggers_live_job on dispatcher.triggers (job_uid, fire_time) where end_time is null;
create index triggers_job on dispatcher.triggers (job_uid, fire_time desc, id desc);
create index triggers_project on dispatcher.triggers (project_id, fire_time desc, id desc);
-- Made last: among indexes that cost the same, as they do while a partition is empty, the youngest is planned with.
alter table dispatcher.triggers add primary key (id, fire_time);

create table dispatcher.attempts (
  trigger_id text collate "C" not null,
  -- The trigger's; both tables are partitioned alike.
  fire_time timestamptz not null,
  number integer not null,
  id text not null,
  outcome text not null check (outcome in ('SUCCEEDED', 'REJECTED', 'NOT_SENT', 'UNKNOWN')),
  start_time timestamptz not null,
  duration_ms integer not null,
  status_code integer,
  error text not null default '',
  response_body text not null default '',
  primary key (trigger_id, number, fire_time)
) partition by range (fire_time);

create table dispatcher.triggers_default partition of dispatcher.triggers default with (fillfactor = 50);
create table dispatcher.attempts_default partition of dispatcher.attempts default;

-- Makes the monthly partitions (UTC) from the month of first_time on. A month that exists is left alone; so is one
-- of which the default partition already holds rows, which then stay there.
create function dispatcher.ensure_partitions(first_time timestamptz, months integer)
returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
declare
  first_month timestamp := date_trunc('month', first_time at time zone 'UTC');
  month_start timestamptz;
  month_end timestamptz;
  suffix text;
begin
  perform pg_advisory_xact_lock(hashtext('dispatcher.ensure_partitions'));
  for i in 0 .. months - 1 loop
    month_start := (first_month + make_interval(months => i)) at time zone 'UTC';
    month_end := (first_month + make_interval(months => i + 1)) at time zone 'UTC';
    suffix := to_char(month_start at time zone 'UTC', 'YYYY_MM');
    continue when to_regclass('dispatcher.triggers_' || suffix) is not null;
    continue when exists (
      select from dispatcher.triggers_default where fire_time >= month_start and fire_time < month_end
    );
    execute format(
      'create table dispatcher.triggers_%s partition of dispatcher.triggers for values from (%L) to (%L) with (fillfactor = 50)',
      suffix, month_start, month_end);
    execute format(
      'create table dispatcher.attempts_%s partition of dispatcher.attempts for values from (%L) to (%L)',
      suffix, month_start, month_end);
  end loop;
end
$$;

-- Takes back the triggers of a job that were handed over ahead of time and have not started: those later than
-- after_time. Called by the scheduler within the transaction of a change, under FOR UPDATE of the job. Tells what
-- the chain must go back to: the first one taken back, and the last later one that stays because it has started.
create function dispatcher.withdraw(
  of_job_uid text,
  after_time timestamptz,
  out first_seq integer,
  out first_previous_fire_time timestamptz,
  out kept_seq integer,
  out kept_fire_time timestamptz
)
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  with gone as (
    delete from dispatcher.triggers
     where job_uid = of_job_uid and fire_time > after_time and end_time is null
       and kind = 'SCHEDULED' and state = 'PENDING'
    returning seq, previous_fire_time
  )
  select seq, previous_fire_time into first_seq, first_previous_fire_time from gone order by seq limit 1;
  select seq, fire_time into kept_seq, kept_fire_time
    from dispatcher.triggers
   where job_uid = of_job_uid and fire_time > after_time and kind = 'SCHEDULED'
   order by fire_time desc limit 1;
end
$$;

-- Cancels what is left of a deleted job. An attempt in flight is let run; the trigger is not tried again.
create function dispatcher.cancel(of_job_uid text, at_time timestamptz)
returns void
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  update dispatcher.triggers
     set state = 'CANCELLED', end_time = at_time, owner = null
   where job_uid = of_job_uid and end_time is null and state in ('PENDING', 'RETRYING');
  update dispatcher.triggers
     set cancel_time = at_time
   where job_uid = of_job_uid and end_time is null and state = 'RUNNING';
end
$$;

create table dispatcher.signing_keys (
  id text primary key,
  project_id text not null,
  -- AES-256-GCM under the master key; bound to this id.
  sealed_secret bytea not null,
  create_time timestamptz not null
);

create index signing_keys_project on dispatcher.signing_keys (project_id, create_time desc, id desc);

-- One row: how often the keys have changed. A change raises it in its transaction, so a dispatcher that reads it
-- knows by one number whether every key it has cached is still the whole truth.
create table dispatcher.signing_keys_version (
  only_row boolean primary key default true check (only_row),
  version bigint not null
);

insert into dispatcher.signing_keys_version (version) values (0);

-- The dispatcher's statements name rows by arrays and must reach them by index. A plan that was made while a table
-- was small would else read all of it, and would be kept while it grows.
alter role easycron_dispatcher set enable_seqscan = off;

grant usage on schema dispatcher to easycron_dispatcher, easycron_scheduler;
grant select, insert, update, delete on all tables in schema dispatcher to easycron_dispatcher;
revoke execute on all functions in schema dispatcher from public;
grant execute on function dispatcher.ensure_partitions to easycron_dispatcher;
grant execute on function dispatcher.withdraw, dispatcher.cancel to easycron_scheduler;
