-- Alerts tell a customer what goes wrong with a job. What happens is noted as a fact, in the transaction in which it
-- happens. A dispatcher turns facts into alerts and sends them. Jobs without alerts have no row here and cost nothing: the
-- triggers below look at a row only when it is a dead letter, a fourth failed attempt, a missed range or a revision with
-- alerts.

-- One row for each job that has alerts, or has had some.
create table dispatcher.alert_jobs (
  job_uid text collate "C" not null primary key,
  project_id text not null,
  -- The job's deliveredWithin; null: it has none.
  within_ms bigint,
  -- When the job is to be looked at again, even if there are no facts.
  look_time timestamptz not null,
  -- No dispatcher looks at the job before this: another one is looking, or the job has had many alerts. What a look has found
  -- is stored only if this is still what the look has set.
  held_until timestamptz not null,
  -- The fire times up to this one were checked against within_ms.
  watched_until timestamptz not null,
  -- What was reported since the job last recovered: FAILING, EXHAUSTED, NOT_DELIVERED.
  told text[] not null default '{}',
  -- Since when the job is in trouble; null if it is not.
  since_time timestamptz
);

create index alert_jobs_look on dispatcher.alert_jobs (look_time);

-- What has happened to jobs with alerts and was not looked at yet. At most 200 rows of a job.
create table dispatcher.alert_facts (
  job_uid text collate "C" not null,
  kind text not null check (kind in ('EXHAUSTED', 'FAILING', 'MISSED', 'DISABLED')),
  -- Tells two facts of the same kind apart. The id of the alert is derived from it.
  cause text not null,
  fact_time timestamptz not null,
  first_fire_time timestamptz,
  last_fire_time timestamptz,
  fire_count integer not null default 0,
  trigger_id text,
  attempts integer,
  -- Why fire times were missed, or the job was disabled.
  reason text not null default '',
  primary key (job_uid, kind, cause)
);

-- Alerts that are to be sent, and for some days those that were.
create table dispatcher.alerts (
  -- alr_…; the webhook-id.
  id text collate "C" not null primary key,
  project_id text not null,
  job_uid text not null,
  event text not null,
  body text not null,
  state text not null default 'PENDING' check (state in ('PENDING', 'SUCCEEDED', 'EXHAUSTED', 'CANCELLED')),
  attempt_count integer not null default 0,
  create_time timestamptz not null,
  -- When the next attempt may start; null once the alert has ended.
  due_time timestamptz,
  end_time timestamptz,
  last_error text not null default '',
  check ((due_time is null) = (end_time is not null)),
  check ((end_time is null) = (state = 'PENDING'))
);

create index alerts_due on dispatcher.alerts (due_time) where due_time is not null;
create index alerts_end on dispatcher.alerts (end_time) where end_time is not null;
create index alerts_job on dispatcher.alerts (job_uid, create_time);
create index alerts_project on dispatcher.alerts (project_id, create_time);

-- Notes a fact of a job that has alerts. A fact that is known already is not noted again. Only triggers and functions of the
-- owner call it.
create function dispatcher.note_alert(
  of_job_uid text, of_kind text, of_cause text, at_time timestamptz, of_reason text default '',
  of_first_fire_time timestamptz default null, of_last_fire_time timestamptz default null, of_fire_count integer default 0,
  of_trigger_id text default null, of_attempts integer default null)
returns void
language sql security definer set search_path = pg_catalog
as $$
  insert into dispatcher.alert_facts (job_uid, kind, cause, fact_time, first_fire_time, last_fire_time, fire_count,
         trigger_id, attempts, reason)
  select of_job_uid, of_kind, of_cause, at_time, of_first_fire_time, of_last_fire_time, of_fire_count, of_trigger_id,
         of_attempts, left(of_reason, 500)
   where exists (select from dispatcher.alert_jobs j where j.job_uid = of_job_uid)
     and (select count(*) from (select from dispatcher.alert_facts f where f.job_uid = of_job_uid limit 200) as f) < 200
  on conflict (job_uid, kind, cause) do nothing
$$;

create function dispatcher.note_trigger()
returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
  perform dispatcher.note_alert(new.job_uid, case new.state when 'EXHAUSTED' then 'EXHAUSTED' else 'FAILING' end,
    new.id || '/' || new.attempt_count, coalesce(new.end_time, clock_timestamp()), '', new.fire_time, new.fire_time, 1,
    new.id, new.attempt_count - new.attempt_base);
  return null;
end
$$;

create trigger note_trigger after update of state on dispatcher.triggers for each row
  when (old.state <> new.state and (new.state = 'EXHAUSTED'
        or (new.state = 'RETRYING' and new.attempt_count - new.attempt_base = 4)))
  execute function dispatcher.note_trigger();

create function dispatcher.note_missed()
returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
declare
  first_time timestamptz := new.first_fire_time;
  missed integer := new.fire_count;
begin
  -- A range grows at its end. Which fire time follows the former end is not known here.
  if tg_op = 'UPDATE' then
    first_time := null;
    missed := new.fire_count - old.fire_count;
  end if;
  perform dispatcher.note_alert(new.job_uid, 'MISSED', extract(epoch from new.last_fire_time)::text, clock_timestamp(),
    new.reason, first_time, new.last_fire_time, missed);
  return null;
end
$$;

create trigger note_missed after insert or update of fire_count on scheduler.skips for each row
  when (new.verdict = 'MISSED') execute function dispatcher.note_missed();

-- Notes that EasyCron has paused or disabled a job.
create function dispatcher.note_disabled()
returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
  perform dispatcher.note_alert(new.uid, 'DISABLED', new.disable_reason::text, clock_timestamp(), new.pause_note);
  return null;
end
$$;

create trigger note_disabled after update of disable_reason on scheduler.jobs for each row
  when (new.disable_reason is not null and new.disable_reason is distinct from old.disable_reason)
  execute function dispatcher.note_disabled();

-- Watches a job from its first revision with alerts on. A later revision without alerts is found when the job is looked at.
-- A look under way has read the alerts of before: it stores nothing, because held_until is changed.
create function dispatcher.watch_job()
returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
  insert into dispatcher.alert_jobs as a (job_uid, project_id, within_ms, look_time, held_until, watched_until)
  select new.job_uid, j.project_id, (new.facets #>> '{alerts,withinMs}')::bigint, new.create_time, '-infinity',
         new.create_time
    from scheduler.jobs j where j.uid = new.job_uid
  on conflict (job_uid) do update
     set within_ms = excluded.within_ms, look_time = excluded.look_time, held_until = excluded.held_until,
         watched_until = case when a.within_ms is null then excluded.watched_until else a.watched_until end;
  return null;
end
$$;

create trigger watch_job after insert on scheduler.revisions for each row
  when (new.facets ? 'alerts') execute function dispatcher.watch_job();

-- What the watchdog reads of the ledger. It computes fire times by itself and asks no scheduler.

-- Returns the epochs of jobs that fire times after from_times belong to, in order, with the row of the job: at most the
-- last 100 of each.
create function scheduler.watched_epochs(of_job_uids text[], from_times timestamptz[])
returns table (job_uid text, job_name text, job_state text, pause_until timestamptz, last_fire_time timestamptz,
               requested jsonb, epoch integer, state text, revision integer, after_time timestamptz,
               end_time timestamptz)
language sql stable security definer set search_path = pg_catalog
as $$
  select j.uid, j.name, j.state, j.pause_until, j.last_fire_time, j.carry -> 'requested', e.epoch, e.state, e.revision,
         e.after_time, e.end_time
    from unnest(of_job_uids, from_times) as w (uid, from_time)
   cross join lateral (select * from scheduler.jobs j where j.uid = w.uid limit 1) as j
   cross join lateral (
     select * from scheduler.epochs e
      where e.job_uid = w.uid
        and e.epoch >= coalesce((select b.epoch from scheduler.epochs b
                                  where b.job_uid = w.uid and b.after_time <= w.from_time
                                  order by b.epoch desc limit 1), 0)
      order by e.epoch desc limit 100) as e
   order by j.uid, e.epoch
$$;

-- Returns the ranges of skipped and missed fire times of jobs that reach into the times from from_times to to_times.
create function scheduler.watched_skips(of_job_uids text[], from_times timestamptz[], to_times timestamptz[])
returns table (job_uid text, first_fire_time timestamptz, last_fire_time timestamptz, verdict text)
language sql stable security definer set search_path = pg_catalog
as $$
  select w.uid, s.first_fire_time, s.last_fire_time, s.verdict
    from unnest(of_job_uids, from_times, to_times) as w (uid, from_time, to_time)
   cross join lateral (
     select s.first_fire_time, s.last_fire_time, s.verdict from scheduler.skips s
      where s.job_uid = w.uid and s.first_fire_time <= w.to_time and s.last_fire_time >= w.from_time
        and s.first_fire_time >= coalesce((select b.first_fire_time from scheduler.skips b
                                            where b.job_uid = w.uid and b.first_fire_time <= w.from_time
                                            order by b.first_fire_time desc limit 1), w.from_time)
      order by s.first_fire_time limit 2000) as s
$$;

-- Returns the versions of calendars of a project that were in effect at from_time or later, also of deleted ones.
create function scheduler.watched_calendars(of_project_id text, names text[], from_time timestamptz)
returns table (name text, create_time timestamptz, until_time timestamptz, spec text)
language sql stable security definer set search_path = pg_catalog
as $$
  select v.name, v.create_time, v.until_time, v.spec from (
    select c.name, v.create_time, v.spec::text as spec,
           coalesce(lead(v.create_time) over (partition by c.uid order by v.version), c.delete_time) as until_time
      from scheduler.calendars c join scheduler.calendar_versions v on v.calendar_uid = c.uid
     where c.project_id = of_project_id and c.name = any (names)) as v
   where v.until_time is null or v.until_time >= from_time
   order by v.name, v.create_time limit 200
$$;

revoke execute on function dispatcher.note_alert, dispatcher.note_trigger, dispatcher.note_missed, dispatcher.note_disabled,
  dispatcher.watch_job,
  scheduler.watched_epochs, scheduler.watched_skips, scheduler.watched_calendars from public;
grant select, insert, update, delete on dispatcher.alert_jobs, dispatcher.alert_facts, dispatcher.alerts
  to easycron_dispatcher;
grant execute on function scheduler.watched_epochs, scheduler.watched_skips, scheduler.watched_calendars
  to easycron_dispatcher;
