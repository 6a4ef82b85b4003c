-- How far the ledger of each job has been compared with its schedule (scheduler/audit-round.ts). A row of its own and
-- not columns of scheduler.jobs: an audit must never hold what the tick claims.
create table scheduler.audits (
  job_uid text primary key references scheduler.jobs (uid),
  -- Fire times before this have been compared, once they were decided.
  audited_until timestamptz not null,
  -- When a round last took it; the one that has waited longest is next. Null: the job is deleted, and compared to its
  -- end.
  audit_time timestamptz
);

create index audits_next on scheduler.audits (audit_time) where audit_time is not null;

-- From the first epoch on: triggers that are older than the ledger have no epoch to be compared with.
insert into scheduler.audits (job_uid, audited_until, audit_time)
select j.uid, (select min(e.after_time) from scheduler.epochs e where e.job_uid = j.uid) + interval '1 millisecond',
       j.create_time
  from scheduler.jobs j where exists (select from scheduler.epochs e where e.job_uid = j.uid);

grant select, insert, update, delete on scheduler.audits to easycron_scheduler;

-- A job's triggers at these fire times, without manual runs: what the ledger sets beside a page of fire times. However
-- many triggers lie between, of an earlier revision or of a backfill, none of the page's is left out.
create function dispatcher.ledger_triggers_at(of_project_id text, of_job_uid text, fire_times timestamptz[])
returns table (
  id text, fire_time timestamptz, effective_time timestamptz, due_time timestamptz, job_name text, revision integer,
  kind text, state text, seq integer, attempt_count integer, create_time timestamptz, start_time timestamptz,
  end_time timestamptz, zone_data text
)
language sql stable security definer set search_path = pg_catalog
as $$
  select t.id, t.fire_time, t.effective_time, t.due_time, t.job_name, t.revision, t.kind, t.state, t.seq,
         t.attempt_count, t.create_time, t.start_time, t.end_time, t.zone_data
    from dispatcher.triggers t
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time = any (fire_times)
     and t.kind <> 'MANUAL'
$$;

-- A job's triggers with fire times from from_time to to_time, both inclusive, earliest first, at most `most`, without
-- manual runs, and of each only what an audit compares.
create function dispatcher.audit_triggers(
  of_project_id text, of_job_uid text, from_time timestamptz, to_time timestamptz, most integer
)
returns table (
  id text, fire_time timestamptz, effective_time timestamptz, revision integer, kind text, seq integer,
  previous_fire_time timestamptz, next_fire_time timestamptz, previous_skipped integer, previous_missed integer,
  create_time timestamptz
)
language sql stable security definer set search_path = pg_catalog
as $$
  select t.id, t.fire_time, t.effective_time, t.revision, t.kind, t.seq, t.previous_fire_time, t.next_fire_time,
         t.previous_skipped, t.previous_missed, t.create_time
    from dispatcher.triggers t
   where t.project_id = of_project_id and t.job_uid = of_job_uid and t.fire_time between from_time and to_time
     and t.kind <> 'MANUAL'
   order by t.fire_time limit most
$$;

-- The last attempt of a trigger of the project that has ended.
create function dispatcher.last_attempt(of_project_id text, of_trigger_id text, of_fire_time timestamptz)
returns table (outcome text, status_code integer, error text)
language sql stable security definer set search_path = pg_catalog
as $$
  select a.outcome, a.status_code, a.error from dispatcher.attempts a
   where a.trigger_id = of_trigger_id and a.fire_time = of_fire_time
     and exists (select from dispatcher.triggers t
                  where t.id = of_trigger_id and t.fire_time = of_fire_time and t.project_id = of_project_id)
   order by a.number desc limit 1
$$;

revoke execute on function dispatcher.ledger_triggers_at, dispatcher.audit_triggers, dispatcher.last_attempt from public;
grant execute on function dispatcher.ledger_triggers_at, dispatcher.audit_triggers, dispatcher.last_attempt
  to easycron_scheduler;
