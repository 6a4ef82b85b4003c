-- Triggers that have ended are delivered again at a customer's request, each under its own id.

-- When a replay or a backfill last made the trigger due again; null if none has. Such a trigger has been handed over for
-- good: a change of its job does not take it back, whatever its fire time and its effective time are.
alter table dispatcher.triggers add column redeliver_time timestamptz;

-- Finds a trigger of a project. No row if the project has none with this id. The row is found by id alone: with both
-- conditions in one query, PostgreSQL might search the index of the project's triggers instead.
create function dispatcher.find_trigger(of_project_id text, of_trigger_id text)
returns table (fire_time timestamptz, job_uid text, job_name text, state text)
language sql stable security definer set search_path = pg_catalog
as $$
  with found as materialized (
    select t.fire_time, t.job_uid, t.job_name, t.state, t.project_id
      from dispatcher.triggers t where t.id = of_trigger_id
  )
  select f.fire_time, f.job_uid, f.job_name, f.state from found f where f.project_id = of_project_id
$$;

-- Makes triggers due again at at_time, under the revisions and job names that stand at their places: those that have ended
-- in one of of_states, by ended_by at the latest. Attempts go on counting; the retry policy begins anew. A first attempt that
-- is recorded in the row of its trigger gets a row of its own, because start_time will be that of a later one. Returns the
-- ids.
create function dispatcher.replay(
  of_project_id text, trigger_ids text[], fire_times timestamptz[], revisions integer[], job_names text[],
  of_states text[], ended_by timestamptz, at_time timestamptz)
returns setof text
language sql security definer set search_path = pg_catalog
as $$
  with wanted as materialized (
    select t.id, t.fire_time, w.revision, w.job_name
      from unnest(trigger_ids, fire_times, revisions, job_names) as w (id, fire_time, revision, job_name)
     cross join lateral (select t.id, t.fire_time from dispatcher.triggers t
                          where t.id = w.id and t.fire_time = w.fire_time and t.project_id = of_project_id
                            and t.end_time <= ended_by and t.state = any (of_states) for update) as t
  ), kept as (
    insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, status_code,
           response_body)
    select t.id, t.fire_time, 1, t.first_attempt_id, 'SUCCEEDED', t.start_time, t.first_duration_ms, t.first_status_code,
           t.first_response_body
      from wanted
     cross join lateral (select * from dispatcher.triggers t
                          where t.id = wanted.id and t.fire_time = wanted.fire_time
                            and t.first_attempt_id is not null offset 0) as t
    on conflict (trigger_id, number, fire_time) do nothing
  ), changed as (
    update dispatcher.triggers t
       set state = 'PENDING', effective_time = at_time, due_time = at_time, redeliver_time = at_time, end_time = null,
           start_time = null, cancel_time = null, owner = null, attempt_base = t.attempt_count, revision = wanted.revision,
           job_name = wanted.job_name, first_attempt_id = null, first_duration_ms = null, first_status_code = null,
           first_response_body = null
      from wanted
     where t.id = wanted.id and t.fire_time = wanted.fire_time
    returning t.id, t.fire_time, t.project_id, t.job_uid, t.kind, t.attempt_base, t.owner, t.due_time
  ), queued as (
    insert into dispatcher.live_triggers (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
    select c.id, c.fire_time, c.project_id, c.job_uid, c.kind, c.attempt_base, c.owner, c.due_time from changed c
  )
  select c.id from changed c
$$;

-- Returns how late the latest attempts of triggers started, and the part of that which is the target's: from the first
-- attempt since the trigger was last made due to the latest, without what passed after an attempt that was lost with its
-- process. An attempt in flight is not recorded yet: it has started when it was due, or soon after. Triggers that no
-- attempt has been started of are left out.
create function dispatcher.lateness(of_project_id text, trigger_ids text[], fire_times timestamptz[])
returns table (id text, total_ms bigint, theirs_ms bigint)
language sql stable security definer set search_path = pg_catalog
as $$
  select l.id, l.total_ms, least(l.total_ms, greatest(0, l.retried_ms - l.lost_ms))
    from (
      select t.id,
             greatest(0, floor(extract(epoch from a.latest_time - t.effective_time) * 1000))::bigint as total_ms,
             floor(extract(epoch from a.latest_time - t.start_time) * 1000)::bigint as retried_ms,
             floor(a.lost_seconds * 1000)::bigint as lost_ms
        from unnest(trigger_ids, fire_times) as w (id, fire_time)
       cross join lateral (select t.id, t.effective_time, t.start_time, t.attempt_base,
                                  case when t.state = 'RUNNING' then t.due_time end as running_since
                             from dispatcher.triggers t
                            where t.id = w.id and t.fire_time = w.fire_time and t.project_id = of_project_id
                              and t.start_time is not null offset 0) as t
       cross join lateral (
         select greatest(t.start_time, max(n.start_time), t.running_since) as latest_time,
                coalesce(sum(extract(epoch from coalesce(n.next_time, t.running_since) - n.start_time))
                           filter (where n.is_lost), 0) as lost_seconds
           from (select a.start_time, lead(a.start_time) over (order by a.number) as next_time,
                        -- The error that recovery gives such an attempt (dispatcher/recovery).
                        a.outcome = 'UNKNOWN' and starts_with(a.error, 'The process that made this attempt ended')
                          as is_lost
                   from dispatcher.attempts a
                  where a.trigger_id = w.id and a.fire_time = w.fire_time and a.number > t.attempt_base) as n
       ) as a
    ) as l
$$;

-- An operation may be a replay: of the triggers of a job, or of the whole project (job_uid is null), in a state.
alter table scheduler.operations
  alter column job_uid drop not null,
  add column kind text not null default 'BACKFILL' check (kind in ('BACKFILL', 'REPLAY')),
  add column trigger_state text,
  -- How many of the triggers were not replayed, because their job was deleted or they had been replayed otherwise.
  add column left_out_count integer not null default 0,
  -- With last_fire_time: the last trigger that has been dealt with.
  add column last_trigger_id text,
  add constraint operations_replay check ((kind = 'REPLAY') = (trigger_state is not null)),
  add constraint operations_backfill check (kind = 'REPLAY' or job_uid is not null);

create index operations_running on scheduler.operations (project_id) where state = 'RUNNING';

-- Lists triggers that have ended in of_state, EXHAUSTED or CANCELLED: of a job, or of the project if of_job_uid is null; with
-- fire times from from_time on and before before_time, after the place (after_time, after_id); earliest first, at most `most`.
-- The constant limit tells PostgreSQL how little is wanted, so that it reads along an index.
create function dispatcher.replayable(
  of_project_id text, of_job_uid text, of_state text, from_time timestamptz, before_time timestamptz,
  after_time timestamptz, after_id text, most integer)
returns table (id text, fire_time timestamptz, job_uid text, end_time timestamptz)
language plpgsql stable security definer set search_path = pg_catalog set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  if of_job_uid is null then
    return query
      select t.id, t.fire_time, t.job_uid, t.end_time
        from (select * from dispatcher.triggers t
               where t.project_id = of_project_id and t.rare_end = of_state
                 and t.fire_time >= greatest(from_time, after_time) and t.fire_time < before_time
                 and (t.fire_time, t.id) > (after_time, after_id)
               order by t.fire_time, t.id limit 1000) as t
       order by t.fire_time, t.id limit most;
  else
    return query
      select t.id, t.fire_time, t.job_uid, t.end_time
        from (select * from dispatcher.triggers t
               where t.job_uid = of_job_uid and t.rare_end = of_state
                 and t.fire_time >= greatest(from_time, after_time) and t.fire_time < before_time
                 and (t.fire_time, t.id) > (after_time, after_id)
               order by t.fire_time, t.id limit 1000) as t
       where t.project_id = of_project_id
       order by t.fire_time, t.id limit most;
  end if;
end
$$;

-- Counts the triggers that dispatcher.replayable lists from the beginning, up to `most`.
create function dispatcher.count_replayable(
  of_project_id text, of_job_uid text, of_state text, from_time timestamptz, before_time timestamptz, most integer)
returns integer
language plpgsql stable security definer set search_path = pg_catalog set enable_seqscan = off
as $$
begin
  if of_job_uid is null then
    return (select count(*) from (select from dispatcher.triggers t
                                   where t.project_id = of_project_id and t.rare_end = of_state
                                     and t.fire_time >= from_time and t.fire_time < before_time limit most) as t);
  end if;
  return (select count(*) from (select from dispatcher.triggers t
                                 where t.job_uid = of_job_uid and t.rare_end = of_state and t.project_id = of_project_id
                                   and t.fire_time >= from_time and t.fire_time < before_time limit most) as t);
end
$$;

revoke execute on function dispatcher.find_trigger, dispatcher.replay, dispatcher.replayable, dispatcher.count_replayable,
  dispatcher.lateness from public;
grant execute on function dispatcher.find_trigger, dispatcher.replay, dispatcher.replayable, dispatcher.count_replayable
  to easycron_scheduler;
grant execute on function dispatcher.lateness to easycron_scheduler, easycron_dispatcher;
