-- The alerts of a project hold for each of its jobs that has none of its own. Nothing is written for each job when they are
-- set: a job gets its row of alert_jobs when something is noted about it; or, for deliveredWithin, in pages.

create table dispatcher.project_alerts (
  project_id text not null primary key,
  -- The alerts as proto3 JSON, as in a job's specification: {"alerts": …}.
  spec text not null,
  -- Their deliveredWithin; null: they have none.
  within_ms bigint,
  -- When within_ms was last set.
  set_time timestamptz not null,
  -- When the next page of the project's jobs is to be read, so that they are watched; null without within_ms.
  page_time timestamptz,
  -- The last name of the page before; empty at the beginning.
  page_after text collate "C" not null default '',
  -- How many jobs the pages have had since the beginning, and how many all of them had the last time.
  page_count integer not null default 0,
  job_count integer not null default 0,
  -- Until when nothing more is noted about jobs without alerts of their own, because the project had 2,000 facts.
  full_until timestamptz,
  check ((page_time is null) = (within_ms is null))
);

create index project_alerts_page on dispatcher.project_alerts (page_time) where page_time is not null;

-- Whether the job has its row because of its project's alerts.
alter table dispatcher.alert_jobs add column of_project boolean not null default false;

-- Null in facts from before this column.
alter table dispatcher.alert_facts add column project_id text;
create index alert_facts_project on dispatcher.alert_facts (project_id);

-- Whether the job had no row of alert_jobs when this was noted, and was given none for it since.
alter table dispatcher.alert_facts add column is_loose boolean not null default false;
create index alert_facts_loose on dispatcher.alert_facts (job_uid) where is_loose;

-- Notes a fact of a job that has alerts, or whose project has. A fact that is known already is not noted again: neither is
-- one of a job with 200 facts, or of a project with 2,000 if the job has no alerts of its own. A project that has reached them
-- is full for five seconds, in which its facts are not counted again: the results of all projects are recorded together, and
-- each dead letter would read 2,000 rows. Waits for no lock. Only triggers and functions of the owner call it.
create or replace function dispatcher.note_alert(
  of_job_uid text, of_kind text, of_cause text, at_time timestamptz, of_reason text default '',
  of_first_fire_time timestamptz default null, of_last_fire_time timestamptz default null, of_fire_count integer default 0,
  of_trigger_id text default null, of_attempts integer default null)
returns void
language sql security definer set search_path = pg_catalog
as $$
  with wanted as materialized (
    select w.project_id, w.is_own, w.is_loose
      from (select a.project_id, not a.of_project as is_own, false as is_loose from dispatcher.alert_jobs a where a.job_uid = of_job_uid
            union all
            select p.project_id, false, true
              from scheduler.jobs j join dispatcher.project_alerts p on p.project_id = j.project_id
             where j.uid = of_job_uid
               and not exists (select from dispatcher.alert_jobs a where a.job_uid = of_job_uid)) as w
     where (w.is_own or not exists (select from dispatcher.project_alerts p
                                     where p.project_id = w.project_id and p.full_until > clock_timestamp()))
       and (select count(*) from (select from dispatcher.alert_facts f where f.job_uid = of_job_uid limit 200) as f) < 200
  ), crowded as materialized (
    select w.project_id from wanted w
     where not w.is_own
       and (select count(*) from (select from dispatcher.alert_facts f
                                   where f.project_id = w.project_id limit 2000) as f) >= 2000
  ), marked as (
    update dispatcher.project_alerts p set full_until = clock_timestamp() + interval '5 s'
     where p.project_id = (select q.project_id from dispatcher.project_alerts q
                            where q.project_id = (select c.project_id from crowded c) for no key update skip locked)
  )
  insert into dispatcher.alert_facts (job_uid, project_id, kind, cause, fact_time, first_fire_time, last_fire_time, fire_count,
         trigger_id, attempts, reason, is_loose)
  select of_job_uid, w.project_id, of_kind, of_cause, at_time, of_first_fire_time, of_last_fire_time, of_fire_count,
         of_trigger_id, of_attempts, left(of_reason, 500), w.is_loose
    from wanted w where not exists (select from crowded)
  on conflict (job_uid, kind, cause) do nothing
$$;

-- Watches a job from its first revision with alerts on. See 0038; now the row may be there because of the project's alerts.
create or replace function dispatcher.watch_job()
returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
  insert into dispatcher.alert_jobs as a (job_uid, project_id, within_ms, look_time, held_until, watched_until)
  select new.job_uid, j.project_id, (new.facets #>> '{alerts,withinMs}')::bigint, new.create_time, '-infinity',
         new.create_time
    from scheduler.jobs j where j.uid = new.job_uid
  on conflict (job_uid) do update
     set within_ms = excluded.within_ms, look_time = excluded.look_time, held_until = excluded.held_until, of_project = false,
         watched_until = case when a.within_ms is null then excluded.watched_until else a.watched_until end;
  return null;
end
$$;

-- Lets a job be looked at at once that had alerts and has none any more: its project's may hold from now on.
create function dispatcher.unwatch_job()
returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
  update dispatcher.alert_jobs a set look_time = new.create_time, held_until = '-infinity'
   where a.job_uid = new.job_uid and not a.of_project;
  return null;
end
$$;

create trigger unwatch_job after insert on scheduler.revisions for each row
  when (new.revision > 1 and not new.facets ? 'alerts') execute function dispatcher.unwatch_job();

-- Watches new jobs of projects whose alerts have a deliveredWithin. One call for each statement that inserts jobs.
create function dispatcher.watch_new_jobs()
returns trigger
language plpgsql security definer set search_path = pg_catalog
as $$
begin
  -- Without this line, each statement that creates a job would pay for the one below.
  if not exists (select from dispatcher.project_alerts p where p.page_time is not null) then return null; end if;
  insert into dispatcher.alert_jobs (job_uid, project_id, within_ms, look_time, held_until, watched_until, of_project)
  select j.uid, j.project_id, p.within_ms, j.create_time + random() * interval '10 s', '-infinity', j.create_time, true
    from added j join dispatcher.project_alerts p on p.project_id = j.project_id and p.within_ms is not null
   order by j.uid
  on conflict (job_uid) do nothing;
  return null;
end
$$;

create trigger watch_new_jobs after insert on scheduler.jobs referencing new table as added for each statement
  execute function dispatcher.watch_new_jobs();

-- Returns the next jobs of a project by name, deleted ones left out.
create function scheduler.watchable_jobs(of_project_id text, after_name text, of_limit integer)
returns table (uid text, name text)
language sql stable security definer set search_path = pg_catalog
as $$
  select j.uid, j.name from scheduler.jobs j
   where j.project_id = of_project_id and j.state <> 'DELETED' and j.name collate "C" > after_name collate "C"
   order by j.name collate "C" limit of_limit
$$;

revoke execute on function dispatcher.unwatch_job, dispatcher.watch_new_jobs, scheduler.watchable_jobs from public;
grant select, insert, update, delete on dispatcher.project_alerts to easycron_dispatcher;
grant execute on function scheduler.watchable_jobs to easycron_dispatcher;
