-- The ledger: what a job was at every instant (epochs), and which of its fire times made no trigger (skips). Together
-- with the triggers they give every fire time exactly one verdict.

alter table scheduler.jobs
  drop constraint jobs_state_check,
  drop constraint jobs_check,
  add constraint jobs_state_check check (state in ('ACTIVE', 'PAUSED', 'FINISHED', 'DELETED')),
  -- When a scheduler is to look at the job: ahead of a fire time by the look-ahead, at a fire time that is decided at
  -- its instant, or when a pause ends. Null when there is nothing to do.
  add column wake_time timestamptz,
  -- Fire times up to here belong to earlier epochs.
  add column after_time timestamptz,
  -- When a pause ends by itself.
  add column pause_until timestamptz,
  -- What the next turn must know of those before (scheduler/carry.ts).
  add column carry jsonb not null default '{}',
  add constraint jobs_cursor_check check (state = 'ACTIVE' or next_fire_time is null);

update scheduler.jobs
   set wake_time = next_fire_time - interval '5 seconds', after_time = coalesce(last_fire_time, create_time);

alter table scheduler.jobs alter column after_time set not null, alter column after_time set default now();

drop index scheduler.jobs_due;
create index jobs_wake on scheduler.jobs (wake_time) where wake_time is not null;

-- One row for each state and revision that a job has been in, in order.
create table scheduler.epochs (
  job_uid text not null references scheduler.jobs (uid),
  epoch integer not null,
  state text not null check (state in ('ACTIVE', 'PAUSED', 'DELETED')),
  revision integer not null,
  -- The fire times of this epoch are later than this, and not later than the next epoch's.
  after_time timestamptz not null,
  -- No later fire time exists, because the job has fired as often as it may. Null: no such end.
  end_time timestamptz,
  -- When the change was made.
  change_time timestamptz not null,
  -- Of a pause.
  note text not null default '',
  primary key (job_uid, epoch)
);

insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time, note)
select uid, epoch, state, revision, after_time, update_time, pause_note from scheduler.jobs;

-- Fire times without a trigger: from the first to the last, fire_count of them, all for one reason, with none between
-- that has another verdict. Paused ones have no row: they are what the schedule gives within a PAUSED epoch.
create table scheduler.skips (
  job_uid text not null references scheduler.jobs (uid),
  first_fire_time timestamptz not null,
  last_fire_time timestamptz not null,
  verdict text not null check (verdict in ('SKIPPED', 'MISSED')),
  reason text not null check (reason in ('PAUSED', 'OUTSIDE_CALENDAR', 'OVERLAP', 'BUFFER_FULL', 'SKIPPED_BY_REQUEST',
    'JOB_DISABLED', 'CATCHUP_WINDOW', 'CATCHUP_LIMIT', 'MISFIRE_POLICY')),
  fire_count integer not null check (fire_count > 0),
  -- The calendar that was closed, when one was.
  detail text not null default '',
  primary key (job_uid, first_fire_time),
  check (first_fire_time <= last_fire_time)
);

-- When a project's next catch-up trigger may be delivered: what is made up for after an outage comes at a rate.
create table scheduler.catchup_slots (
  project_id text primary key,
  next_time timestamptz not null
);

grant select, insert, update, delete on scheduler.epochs, scheduler.skips, scheduler.catchup_slots
  to easycron_scheduler;

alter table dispatcher.triggers
  drop constraint triggers_kind_check,
  add constraint triggers_kind_check check (kind in ('SCHEDULED', 'CATCHUP', 'MANUAL', 'BACKFILL')),
  -- How many fire times of the job were skipped, and missed, since the scheduled trigger before.
  add column previous_skipped integer not null default 0,
  add column previous_missed integer not null default 0;

-- Takes back the triggers of a job that were handed over ahead of time and have not started: those that become due
-- later than after_time. Called by the scheduler within the transaction of a change, under FOR UPDATE of the job.
-- Returns what was taken back, and the last later one that stays because it has started (kept). What is made up for
-- after an outage was due before, and stays.
drop function dispatcher.withdraw;
create function dispatcher.withdraw(of_job_uid text, after_time timestamptz)
returns table (
  kept boolean,
  fire_time timestamptz,
  seq integer,
  previous_fire_time timestamptz,
  previous_skipped integer,
  previous_missed integer
)
language plpgsql volatile security definer set search_path = pg_catalog
as $$
#variable_conflict use_column
declare
  started_time timestamptz;
begin
  -- The rows are locked first, so that none starts between the looking and the taking.
  perform from dispatcher.triggers t
    where t.job_uid = of_job_uid and t.end_time is null and t.effective_time > after_time and t.kind = 'SCHEDULED'
    order by t.fire_time
      for update;
  -- What is earlier than one that has started stays: its dispatcher is late with it.
  select max(t.fire_time) into started_time from dispatcher.triggers t
   where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     and t.state <> 'PENDING';
  return query
    delete from dispatcher.triggers t
     where t.job_uid = of_job_uid and t.end_time is null and t.effective_time > after_time
       and t.kind = 'SCHEDULED' and t.state = 'PENDING' and (started_time is null or t.fire_time > started_time)
    returning false, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed;
  return query
    select true, t.fire_time, t.seq, t.previous_fire_time, t.previous_skipped, t.previous_missed
      from dispatcher.triggers t
     where t.job_uid = of_job_uid and t.fire_time > after_time and t.kind in ('SCHEDULED', 'CATCHUP')
     order by t.fire_time desc limit 1;
end
$$;

-- Which of these jobs have a trigger that has not come to rest. Backfills do not count.
create function dispatcher.busy_jobs(of_job_uids text[])
returns setof text
language sql stable security definer set search_path = pg_catalog
as $$
  select w.uid from unnest(of_job_uids) as w (uid)
   where exists (select from dispatcher.triggers t
                  where t.job_uid = w.uid and t.end_time is null and t.kind <> 'BACKFILL')
$$;

-- Triggers that were handed over in a transaction of the scheduler that never committed: those of each job with a
-- place after its last one, at fire times from from_times on.
create function dispatcher.handed_over(of_job_uids text[], last_seqs integer[], from_times timestamptz[])
returns table (job_uid text, fire_time timestamptz, seq integer)
language sql stable security definer set search_path = pg_catalog
as $$
  select t.job_uid, t.fire_time, t.seq
    from unnest(of_job_uids, last_seqs, from_times) as w (uid, last_seq, from_time)
    join dispatcher.triggers t on t.job_uid = w.uid and t.fire_time >= w.from_time and t.seq > w.last_seq
   where t.kind in ('SCHEDULED', 'CATCHUP')
   order by t.job_uid, t.fire_time
$$;

-- A job's triggers with fire times from from_time to to_time, both inclusive, without manual runs: what the ledger
-- sets beside the fire times of the schedule.
create function dispatcher.ledger_triggers(
  of_project_id text, of_job_uid text, from_time timestamptz, to_time timestamptz, most integer
)
returns table (
  id text, fire_time timestamptz, effective_time timestamptz, job_name text, revision integer, kind text, state text,
  seq integer, previous_skipped integer, previous_missed integer, attempt_count integer, create_time timestamptz,
  start_time timestamptz, end_time timestamptz
)
language sql stable security definer set search_path = pg_catalog
as $$
  select t.id, t.fire_time, t.effective_time, t.job_name, t.revision, t.kind, t.state, t.seq, t.previous_skipped,
         t.previous_missed, t.attempt_count, t.create_time, t.start_time, t.end_time
    from dispatcher.triggers t
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time between from_time and to_time
     and t.kind <> 'MANUAL'
   order by t.fire_time limit most
$$;

revoke execute on function dispatcher.withdraw, dispatcher.busy_jobs, dispatcher.handed_over, dispatcher.ledger_triggers from public;
grant execute on function dispatcher.withdraw, dispatcher.busy_jobs, dispatcher.handed_over, dispatcher.ledger_triggers to easycron_scheduler;
