create schema scheduler;

create table scheduler.jobs (
  uid text primary key,
  project_id text not null,
  name text not null,
  state text not null check (state in ('ACTIVE', 'PAUSED', 'DELETED')),
  -- The revision in force; its text is in scheduler.revisions.
  revision integer not null,
  -- Raised by every change. An event made under an older epoch is refused by the dispatcher.
  epoch integer not null,
  -- The cursor, which is the outbox: the first fire time not yet handed over. Null when there is none, or when
  -- the job is not active.
  next_fire_time timestamptz,
  -- The chain: the last fire time handed over and its place.
  last_fire_time timestamptz,
  last_seq integer not null default 0,
  pause_note text not null default '',
  create_time timestamptz not null,
  update_time timestamptz not null,
  check (state = 'ACTIVE' or next_fire_time is null)
);

create unique index jobs_live_name on scheduler.jobs (project_id, name collate "C") where state <> 'DELETED';
create index jobs_name on scheduler.jobs (project_id, name, create_time desc);
create index jobs_due on scheduler.jobs (next_fire_time) where next_fire_time is not null;

create table scheduler.revisions (
  job_uid text not null references scheduler.jobs (uid),
  revision integer not null,
  -- The customer's specification as proto3 JSON of easycron.v1.Job, defaults filled in. Never changed. json and not
  -- jsonb: a payload is kept as its text, where jsonb refuses U+0000 and writes 1e308 with 309 digits.
  spec json not null,
  create_time timestamptz not null,
  primary key (job_uid, revision)
);

-- What makes a call repeatable: the first use of a request id, and what came of it.
create table scheduler.requests (
  project_id text not null,
  request_id text not null,
  -- SHA-256 of the method and the request: the same id with another request is a mistake.
  fingerprint bytea not null,
  job_uid text not null,
  -- Of the manual trigger, when the request was RunJob.
  fire_time timestamptz,
  create_time timestamptz not null,
  primary key (project_id, request_id)
);

create index requests_create_time on scheduler.requests (create_time);

-- Which of these (job, epoch) pairs are still in force. KEY SHARE holds until the caller's transaction ends: it
-- conflicts with the FOR UPDATE of a change, and not with the FOR NO KEY UPDATE under which the scheduler hands
-- events over. So an event is either recorded before a change commits, and then withdrawn by it, or refused.
create function scheduler.lock_current(job_uids text[], epochs integer[])
returns table (uid text, epoch integer)
language plpgsql volatile security definer set search_path = pg_catalog
as $$
begin
  return query
    select j.uid, j.epoch
      from scheduler.jobs j
      join (select distinct u, e from unnest(job_uids, epochs) as given (u, e)) as given
        on j.uid = given.u and j.epoch = given.e
     where j.state <> 'DELETED'
       for key share of j;
end
$$;

grant usage on schema scheduler to easycron_scheduler, easycron_dispatcher;
grant select, insert, update, delete on all tables in schema scheduler to easycron_scheduler;
-- Revisions never change, so the dispatcher may read them where they are and cache them for ever.
grant select on scheduler.revisions to easycron_dispatcher;
revoke execute on function scheduler.lock_current from public;
grant execute on function scheduler.lock_current to easycron_dispatcher;
