alter table scheduler.jobs
  -- Whether the job waits for the end of an earlier trigger (overlap policy BUFFER_ONE or BUFFER_ALL). Read only while
  -- the job is ACTIVE; each turn writes it anew.
  add column waits_for_end boolean not null default false;

create index jobs_waiting on scheduler.jobs (project_id) where waits_for_end;

-- Makes those of these jobs that wait for the end of a trigger due at at_time. The dispatcher calls it when triggers of
-- the jobs have ended. Returns the jobs that it has looked at. A job that is locked, by its own turn or change, is left
-- out and must be asked about again: its turn may have seen the trigger before the end. So a job is locked before the
-- function looks whether it waits.
create function scheduler.wake_waiting(job_uids text[], at_time timestamptz)
returns setof text
language sql security definer set search_path = pg_catalog
as $$
  with looked as materialized (
    select j.uid, j.waits_for_end and j.state = 'ACTIVE' and (j.wake_time is null or j.wake_time > at_time) as sleeps
      from scheduler.jobs j where j.uid = any (job_uids)
       for no key update skip locked
  ), woken as (
    update scheduler.jobs j set wake_time = at_time from looked where j.uid = looked.uid and looked.sleeps
  )
  select uid from looked
$$;

revoke execute on function scheduler.wake_waiting from public;
grant execute on function scheduler.wake_waiting to easycron_dispatcher;

-- Calendars with jobs that are not up to date with the current version. A change of a calendar adds a row, and so does
-- a job that begins to refer to an older version. Passes over the jobs remove it.
create table scheduler.unsettled_calendars (
  calendar_uid text primary key references scheduler.calendars (uid),
  -- How often the row was asked for. A pass removes the row only if this has not changed since it looked.
  asked integer not null default 1,
  -- When the next pass may begin. Later than now after a pass that had to leave jobs out.
  retry_time timestamptz not null
);

grant select, insert, update, delete on scheduler.unsettled_calendars to easycron_scheduler;

-- In this order a pass finds the jobs that are behind without reading those that are up to date.
create index job_calendars_behind on scheduler.job_calendars (calendar_uid, version, job_uid);
drop index scheduler.job_calendars_calendar;

-- What an older version may have left unsettled.
insert into scheduler.unsettled_calendars (calendar_uid, retry_time)
select distinct c.uid, now()
  from scheduler.calendars c join scheduler.job_calendars jc on jc.calendar_uid = c.uid and jc.version < c.version;

-- How far the pass over calendars and jobs has come that brings them up to date after the release took effect. A pass
-- goes by uid; the place is the last uid that it has looked at, and null when there is nothing left to look at.
alter table scheduler.zone_data
  add column pass_time timestamptz,
  add column pass_calendar text default '',
  add column pass_job text default '',
  -- Whether the pass has met a job that it could not change.
  add column pass_failed boolean not null default false;
