-- EasyCron pauses or disables a job whose receiver wants no more, or whose triggers keep failing.

alter table scheduler.jobs
  drop constraint jobs_state_check,
  add constraint jobs_state_check check (state in ('ACTIVE', 'PAUSED', 'DISABLED', 'FINISHED', 'DELETED')),
  -- Why EasyCron has paused or disabled the job (scheduler/job/disable-reason.ts); null if it has not.
  add column disable_reason jsonb;
alter table scheduler.epochs
  drop constraint epochs_state_check,
  add constraint epochs_state_check check (state in ('ACTIVE', 'PAUSED', 'DISABLED', 'DELETED'));

drop index scheduler.jobs_state;
create index jobs_state on scheduler.jobs (project_id, state, name collate "C")
  where state in ('PAUSED', 'DISABLED', 'FINISHED');

alter table scheduler.set_aside
  drop constraint set_aside_kind_check,
  add constraint set_aside_kind_check check (kind in ('job', 'deletion', 'backfill', 'disabling'));

-- What the scheduler has to hear about a job: a trigger is EXHAUSTED, or the receiver wants no more triggers. The dispatcher
-- adds a row in the statement that ends the trigger, so that no kill comes between the two. The scheduler takes it out.
create table dispatcher.signals (
  end_time timestamptz not null,
  trigger_id text not null,
  project_id text not null,
  job_uid text not null,
  fire_time timestamptz not null,
  revision integer not null,
  kind text not null check (kind in ('EXHAUSTED', 'GONE', 'RECEIVER')),
  -- In the order in which they are taken. The statement that adds a row may be repeated.
  primary key (end_time, trigger_id)
);
grant select, insert on dispatcher.signals to easycron_dispatcher;

-- Lists the oldest signals, at most `most`, without those of some jobs.
create function dispatcher.list_signals(most integer, without_jobs text[])
returns table (trigger_id text, project_id text, job_uid text, fire_time timestamptz, revision integer, kind text,
               end_time timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select s.trigger_id, s.project_id, s.job_uid, s.fire_time, s.revision, s.kind, s.end_time
    from dispatcher.signals s where s.job_uid <> all (without_jobs) order by s.end_time, s.trigger_id limit most
$$;

-- Takes signals out, and returns the trigger ids of those that it has taken: another transaction may be taking the others.
create function dispatcher.take_signals(end_times timestamptz[], trigger_ids text[])
returns setof text
language sql security definer set search_path = pg_catalog
as $$
  delete from dispatcher.signals s
   where s.ctid = any (array(
     select t.ctid from unnest(end_times, trigger_ids) as w (end_time, trigger_id)
      cross join lateral (select n.ctid from dispatcher.signals n
                           where n.end_time = w.end_time and n.trigger_id = w.trigger_id
                             for update skip locked) as t))
  returning s.trigger_id
$$;

-- Looks for a success of a job that ended after from_time. No row if there is none. Otherwise how many triggers of the job
-- were EXHAUSTED after the last success, at most `most`, and when the first of them ended. It reads 5,000 triggers up to
-- at_fire_time, and the newest 5,000: a job that works has successes among them, and the cost has a limit.
create function dispatcher.exhausted_since_success(
  of_project_id text, of_job_uid text, from_time timestamptz, at_fire_time timestamptz, most integer)
returns table (exhausted_count integer, first_time timestamptz)
language plpgsql stable security definer set search_path = pg_catalog set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  success_time timestamptz;
begin
  select max(n.end_time) into success_time from (
    (select * from dispatcher.triggers t where t.job_uid = of_job_uid order by t.fire_time desc, t.id desc limit 5000)
    union all
    (select * from dispatcher.triggers t where t.job_uid = of_job_uid and t.fire_time <= at_fire_time
      order by t.fire_time desc, t.id desc limit 5000)) as n
   where n.state = 'SUCCEEDED' and n.end_time > from_time and n.project_id = of_project_id;
  if success_time is null then
    return;
  end if;
  return query
    select count(*)::integer, min(e.end_time)
      from (select t.end_time from dispatcher.triggers t
             where t.job_uid = of_job_uid and t.rare_end = 'EXHAUSTED' and t.end_time > success_time
             order by t.fire_time desc, t.id desc limit most) as e;
end
$$;

revoke execute on function dispatcher.list_signals, dispatcher.take_signals, dispatcher.exhausted_since_success from public;
grant execute on function dispatcher.list_signals, dispatcher.take_signals, dispatcher.exhausted_since_success to easycron_scheduler;

-- Jobs with exhausted triggers, and jobs that are to be paused or disabled.
create table scheduler.failing_jobs (
  -- Without a foreign key: its check would wait for a job that is being changed, and every other job of the pass with it.
  job_uid text primary key,
  project_id text not null,
  -- How many triggers were exhausted in a row, and when the first and the last of them ended.
  exhausted_count integer not null default 0,
  first_time timestamptz,
  last_time timestamptz,
  -- What ended up to this time does not count: the job was resumed then.
  restart_time timestamptz not null default '-infinity',
  -- What was delivered by an earlier revision does not count: this one has another target.
  from_revision integer not null default 0,
  -- The signal because of which the job is to be paused or disabled (scheduler/disabling/); null if there is none.
  pending jsonb
);
create index failing_jobs_pending on scheduler.failing_jobs (job_uid) where pending is not null;
-- What housekeeping looks for: rows that say nothing any more.
create index failing_jobs_idle on scheduler.failing_jobs (restart_time) where exhausted_count = 0 and pending is null;
grant select, insert, update, delete on scheduler.failing_jobs to easycron_scheduler;

-- A trigger that a replay or a backfill has made due again is not withdrawn, also if the clock was set back since.
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
                          and t.effective_time > after_time and t.redeliver_time is null
                          for update) as t;
  -- What is earlier than one that has started stays: its dispatcher is late with it. One that was made due again had ended.
  select max(t.fire_time) into started_time from dispatcher.triggers t
   where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     and (t.state <> 'PENDING' or t.redeliver_time is not null);
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
       set state = 'PENDING', effective_time = at_time, due_time = at_time, redeliver_time = at_time, end_time = null,
           start_time = null, cancel_time = null, owner = null, attempt_base = t.attempt_count, revision = by_revision,
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
