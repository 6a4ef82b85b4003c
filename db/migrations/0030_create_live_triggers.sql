-- Nobody writes a trigger between the copying of the rows and the end of this migration. Other processes of an earlier
-- version must be stopped all the same: a function that waits for this lock goes on as it was before the migration.
lock table dispatcher.triggers in access exclusive mode;

-- The triggers that have not ended, in a small table of their own: with what dispatchers and overlap policies look for. A
-- trigger has a row here exactly while its end_time is null; owner and due_time are the same in both tables. Who changes
-- them locks the row of dispatcher.triggers first. The primary key of dispatcher.triggers stays what makes a trigger
-- unique.
create table dispatcher.live_triggers (
  id text collate "C" not null,
  fire_time timestamptz not null,
  project_id text collate "C" not null,
  job_uid text collate "C" not null,
  kind text not null,
  attempt_base integer not null default 0,
  owner text collate "C",
  due_time timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 5000);

insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
select id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time
  from dispatcher.triggers where end_time is null;

-- Due order of what nobody holds (owner is null), and of what one dispatcher holds.
create index live_triggers_due on dispatcher.live_triggers (owner, due_time);
create index live_triggers_job on dispatcher.live_triggers (job_uid, fire_time desc, id desc);
create index live_triggers_project on dispatcher.live_triggers (project_id, fire_time desc, id desc);
-- Made last: among indexes that cost the same, as they do while the table is empty, the youngest is planned with.
alter table dispatcher.live_triggers add primary key (id);

-- The end of a trigger is a heap-only update without them, and its row has one index entry in each index for good.
drop index dispatcher.triggers_live_due;
drop index dispatcher.triggers_live_job;
drop index dispatcher.triggers_live_project;

-- The first attempt, if it succeeded and what the target answered is short. It has no row in dispatcher.attempts then. Its
-- start is start_time.
alter table dispatcher.triggers
  add column first_attempt_id text,
  add column first_duration_ms integer,
  add column first_status_code integer,
  add column first_response_body text;

grant select, insert, update, delete on dispatcher.live_triggers to easycron_dispatcher;

create or replace function dispatcher.busy_jobs(of_job_uids text[])
returns setof text
language sql stable security definer set search_path = pg_catalog
as $$
  select w.uid from unnest(of_job_uids) as w (uid)
   where exists (select from dispatcher.live_triggers l where l.job_uid = w.uid and l.kind <> 'BACKFILL')
$$;

create or replace function dispatcher.live_jobs(of_job_uids text[])
returns setof text
language sql stable security definer set search_path = pg_catalog
as $$
  select w.uid from unnest(of_job_uids) as w (uid)
   where exists (select from dispatcher.live_triggers l where l.job_uid = w.uid)
$$;

-- No due_time is before its effective_time. So the last ones are read first, and mostly one row of dispatcher.triggers.
create or replace function dispatcher.catchup_end(of_project_id text)
returns timestamptz
language plpgsql stable security definer set search_path = pg_catalog set enable_seqscan = off
as $$
declare
  live record;
  latest timestamptz;
begin
  for live in
    select l.id, l.fire_time, l.due_time from dispatcher.live_triggers l
     where l.project_id = of_project_id and l.kind = 'CATCHUP' order by l.due_time desc
  loop
    exit when live.due_time <= latest;
    latest := greatest(latest, (
      select t.effective_time from dispatcher.triggers t
       where t.id = live.id and t.fire_time = live.fire_time and t.cancel_time is null));
  end loop;
  return latest;
end
$$;

create or replace function dispatcher.cancel(of_job_uid text, at_time timestamptz)
returns void
language plpgsql security definer set search_path = pg_catalog set enable_seqscan = off
as $$
declare
  locked_ids text[];
  first_time timestamptz;
  last_time timestamptz;
begin
  select array_agg(t.id), min(t.fire_time), max(t.fire_time) into locked_ids, first_time, last_time
    from (select l.id, l.fire_time from dispatcher.live_triggers l
           where l.job_uid = of_job_uid order by l.fire_time) as l
   cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                        where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null for update) as t;
  with changed as (
    update dispatcher.triggers t
       set state = case when t.state = 'RUNNING' then t.state else 'CANCELLED' end,
           end_time = case when t.state = 'RUNNING' then null else at_time end,
           owner = case when t.state = 'RUNNING' then t.owner end,
           cancel_time = at_time
     where t.id = any (locked_ids) and t.fire_time between first_time and last_time
    returning t.id, t.end_time
  )
  delete from dispatcher.live_triggers l
   where l.id = any (array(select c.id from changed c where c.end_time is not null));
end
$$;

create or replace function dispatcher.discard(
  of_project_id text, of_job_uid text, of_kind text, from_time timestamptz, before_time timestamptz, at_time timestamptz,
  most integer)
returns integer
language plpgsql security definer set search_path = pg_catalog set enable_seqscan = off
as $$
declare
  discarded integer;
begin
  with wanted as materialized (
    select t.id, t.fire_time
      from (select l.id, l.fire_time from dispatcher.live_triggers l
             where l.project_id = of_project_id and (of_job_uid is null or l.job_uid = of_job_uid)
               and (of_kind is null or l.kind = of_kind) and l.fire_time >= from_time and l.fire_time < before_time
             order by l.job_uid, l.fire_time) as l
     cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                          where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null and t.cancel_time is null
                            for update) as t
     limit most
  ), changed as (
    update dispatcher.triggers t
       set state = case when t.state = 'RUNNING' then t.state else 'CANCELLED' end,
           end_time = case when t.state = 'RUNNING' then null else at_time end,
           owner = case when t.state = 'RUNNING' then t.owner end,
           cancel_time = at_time
      from wanted
     where t.id = wanted.id and t.fire_time = wanted.fire_time
    returning t.id, t.end_time
  ), gone as (
    delete from dispatcher.live_triggers l
     where l.id = any (array(select c.id from changed c where c.end_time is not null))
  )
  select count(*) into discarded from changed;
  return discarded;
end
$$;

create or replace function dispatcher.withdraw(of_job_uid text, after_time timestamptz)
returns table (
  kept boolean, fire_time timestamptz, seq integer, previous_fire_time timestamptz, previous_skipped integer,
  previous_missed integer)
language plpgsql security definer set search_path = pg_catalog set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  locked_ids text[];
  first_time timestamptz;
  last_time timestamptz;
  started_time timestamptz;
begin
  -- The rows are locked first, so that none starts between the looking and the taking.
  select array_agg(t.id), min(t.fire_time), max(t.fire_time) into locked_ids, first_time, last_time
    from (select l.id, l.fire_time from dispatcher.live_triggers l
           where l.job_uid = of_job_uid and l.kind = 'SCHEDULED' order by l.fire_time) as l
   cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                        where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null
                          and t.effective_time > after_time
                          for update) as t;
  -- What is earlier than one that has started stays: its dispatcher is late with it.
  select max(t.fire_time) into started_time from dispatcher.triggers t
   where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     and t.state <> 'PENDING';
  return query
    with gone as (
      delete from dispatcher.triggers t
       where t.id = any (locked_ids) and t.fire_time between first_time and last_time
         and t.state = 'PENDING' and (started_time is null or t.fire_time > started_time)
      returning t.id, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed
    ), taken as (
      delete from dispatcher.live_triggers l where l.id = any (array(select g.id from gone g))
    )
    select false, g.fire_time, g.seq, g.previous_fire_time, g.previous_skipped, g.previous_missed from gone g;
  return query
    select true, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed
      from dispatcher.triggers t
     where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     order by t.fire_time desc limit 1;
end
$$;

-- The first attempt gets a row of its own, because start_time will be that of a later one.
create or replace function dispatcher.redeliver(
  of_project_id text, of_job_uid text, fire_times timestamptz[], force boolean, at_time timestamptz, by_revision integer,
  by_job_name text)
returns setof timestamptz
language sql security definer set search_path = pg_catalog
as $$
  with kept as (
    insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, status_code,
           response_body)
    select t.id, t.fire_time, 1, t.first_attempt_id, 'SUCCEEDED', t.start_time, t.first_duration_ms, t.first_status_code,
           t.first_response_body
      from dispatcher.triggers t
     where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
       and t.kind <> 'MANUAL' and t.end_time is not null and force and t.first_attempt_id is not null
    on conflict (trigger_id, number, fire_time) do nothing
  ), changed as (
    update dispatcher.triggers t
       set state = 'PENDING', effective_time = at_time, due_time = at_time, end_time = null, start_time = null,
           cancel_time = null, owner = null, attempt_base = t.attempt_count, revision = by_revision,
           job_name = by_job_name, first_attempt_id = null, first_duration_ms = null, first_status_code = null,
           first_response_body = null
     where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
       and t.kind <> 'MANUAL' and t.end_time is not null and (force or t.state <> 'SUCCEEDED')
    returning t.id, t.fire_time, t.project_id, t.job_uid, t.kind, t.attempt_base, t.owner, t.due_time
  ), queued as (
    insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
    select c.id, c.fire_time, c.project_id, c.job_uid, c.kind, c.attempt_base, c.owner, c.due_time from changed c
  )
  select c.fire_time from changed c
$$;

create or replace function dispatcher.last_attempt(of_project_id text, of_trigger_id text, of_fire_time timestamptz)
returns table (outcome text, status_code integer, error text)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.outcome, a.status_code, a.error
    from (select a.number, a.outcome, a.status_code, a.error from dispatcher.attempts a
           where a.trigger_id = of_trigger_id and a.fire_time = of_fire_time
           union all
          select 1, 'SUCCEEDED', t.first_status_code, '' from dispatcher.triggers t
           where t.id = of_trigger_id and t.fire_time = of_fire_time and t.first_attempt_id is not null) as a
   where exists (select from dispatcher.triggers t
                  where t.id = of_trigger_id and t.fire_time = of_fire_time and t.project_id = of_project_id)
   order by a.number desc limit 1
$$;

-- Looks at each job once, unless some could not be locked: the second look is for those alone. It compared each job with
-- each locked one, which took longer than writing the triggers.
create or replace function scheduler.lock_current_or_skip(job_uids text[], epochs integer[])
returns table (uid text, epoch integer, contended boolean)
language plpgsql volatile security definer set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  locked_uids text[];
  locked_epochs integer[];
begin
  select array_agg(l.uid), array_agg(l.epoch) into locked_uids, locked_epochs
    from (select j.uid, j.epoch
            from scheduler.jobs j
            join (select distinct u, e from unnest(job_uids, epochs) as given (u, e)) as given
              on j.uid = given.u and j.epoch = given.e
           where j.state <> 'DELETED'
             for key share of j skip locked) as l;
  return query select l.u, l.e, false from unnest(locked_uids, locked_epochs) as l (u, e);
  -- A new statement, and so a new snapshot: after a change that has committed meanwhile, the old epoch is not in effect
  -- here any more. What is in effect and not locked is contended.
  return query
    select j.uid, j.epoch, true
      from (select u, e from unnest(job_uids, epochs) as given (u, e)
            except select u, e from unnest(locked_uids, locked_epochs) as l (u, e)) as missing
      join scheduler.jobs j on j.uid = missing.u and j.epoch = missing.e
     where j.state <> 'DELETED';
end
$$;
