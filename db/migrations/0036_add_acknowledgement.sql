-- Triggers of jobs that want an acknowledgement: after a success of the target they are ACCEPTED, until they are
-- acknowledged or their deadline has passed.
alter table dispatcher.triggers
  drop constraint triggers_state_check,
  -- All rows obeyed the narrower check before, so none has to be read.
  add constraint triggers_state_check check (state in ('PENDING', 'RUNNING', 'RETRYING', 'ACCEPTED', 'SUCCEEDED', 'EXHAUSTED', 'CANCELLED')) not valid,
  -- The latest acknowledgement: of which attempt, what it says, and its message. It may come before the attempt has ended.
  add column acknowledged_attempt integer,
  add column acknowledgement text,
  add constraint triggers_acknowledgement check (acknowledgement in ('SUCCEEDED', 'FAILED', 'EXTENDED')) not valid,
  add column acknowledgement_message text,
  -- Until when the trigger is to wait, if it was EXTENDED before its attempt had ended.
  add column extended_time timestamptz;

-- A trigger that is ACCEPTED has its deadline as due_time, and 'acknowledgement' as owner, which is no instance. So what
-- looks for triggers without an owner, or of an instance, does not read it.

-- A trigger that is ACCEPTED has been delivered. It stays so, and may still succeed, but it is not tried again.
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
       set state = case when t.state in ('RUNNING', 'ACCEPTED') then t.state else 'CANCELLED' end,
           end_time = case when t.state in ('RUNNING', 'ACCEPTED') then null else at_time end,
           owner = case when t.state in ('RUNNING', 'ACCEPTED') then t.owner end,
           cancel_time = at_time
     where t.id = any (locked_ids) and t.fire_time between first_time and last_time
    returning t.id, t.end_time
  )
  delete from dispatcher.live_triggers l
   where l.id = any (array(select c.id from changed c where c.end_time is not null));
end
$$;

-- A trigger that is ACCEPTED is discarded at once, also if it was to be cancelled should it fail.
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
                          where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null
                            and (t.cancel_time is null or t.state = 'ACCEPTED')
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
