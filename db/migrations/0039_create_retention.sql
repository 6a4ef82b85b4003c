-- For how long the triggers of each project are kept. Nothing before a project's floor is undecided any more, and nothing
-- before it is recorded any more, so what was removed cannot come back. See docs/decisions/0013-retention-floors.md.
create table dispatcher.retention (
  project_id text primary key,
  days integer not null default 30 check (days between 1 and 400),
  -- What has ended may be missing before this. It never moves back.
  floor_time timestamptz not null default '-infinity',
  -- When floor_time was set.
  set_time timestamptz not null default now(),
  -- An earlier floor, which every statement that is still running knows.
  known_floor_time timestamptz not null default '-infinity',
  check (known_floor_time <= floor_time)
);

grant select, insert, update on dispatcher.retention to easycron_dispatcher;

-- Returns whether a trigger may be removed at at_time: it lies before the floor and ended long enough ago. A dead letter is
-- kept for twice the days, at most 400. Null, which counts as no, for one that has not ended. PostgreSQL puts its text into
-- the statement that calls it.
create function dispatcher.is_expired(
  of_state text, fire_time timestamptz, end_time timestamptz, of_days integer, floor_time timestamptz, at_time timestamptz)
returns boolean language sql stable
as $$
  select fire_time < floor_time
     and end_time < at_time - make_interval(hours => 24 * case when of_state = 'EXHAUSTED' then least(2 * of_days, 400) else of_days end)
$$;

-- Returns the floor that every statement knows which is still running: one that was set more than grace_ms ago.
create function dispatcher.known_floor(
  set_time timestamptz, floor_time timestamptz, known_floor_time timestamptz, grace_ms integer)
returns timestamptz language sql volatile
as $$
  select case when set_time < clock_timestamp() - make_interval(secs => grace_ms / 1000.0) then floor_time else known_floor_time end
$$;

-- Returns the floor of a project; -infinity while nothing was removed.
create function dispatcher.retention_floor(of_project_id text) returns timestamptz
language sql stable security definer set search_path = pg_catalog
as $$
  select coalesce((select r.floor_time from dispatcher.retention r where r.project_id = of_project_id), '-infinity')
$$;

-- Returns the first fire time of a project that the scheduler has still to decide: a cursor, the end of a pause, or a fire
-- time that waits. Null if there is none. It reads all jobs of the project.
create function scheduler.first_undecided(of_project_id text) returns timestamptz
language sql stable security definer set search_path = pg_catalog
as $$
  select min(least(j.next_fire_time, case when j.state = 'PAUSED' then j.pause_until end,
                   date_trunc('milliseconds', to_timestamp((j.carry -> 'waiting' ->> 0)::double precision / 1000))))
    from scheduler.jobs j where j.project_id = of_project_id and j.state <> 'DELETED'
$$;

-- Drops the partitions of a month if nothing in them is to be kept at at_time. Returns DROPPED, KEPT, MISSING, or BUSY when
-- something else in the way of it holds the advisory lock. Like make_partition, it waits 50 ms at most for a lock, because
-- everybody who comes later waits behind it. The long look for what is to be kept comes before these locks. What can change
-- meanwhile: recording in such a month takes the same advisory lock (dispatcher/accepting/accept.sql.ts), and a replay leaves
-- a row of dispatcher.live_triggers.
create function dispatcher.drop_partition(month_start timestamptz, at_time timestamptz, grace_ms integer) returns text
language plpgsql volatile security definer set search_path = pg_catalog set lock_timeout = '50ms'
as $$
declare
  month_end timestamptz := (month_start at time zone 'UTC' + interval '1 month') at time zone 'UTC';
  month text := to_char(month_start at time zone 'UTC', 'YYYY_MM');
  is_kept boolean;
  name text;
begin
  if month_start <> date_trunc('month', month_start, 'UTC') or month_end > at_time - interval '1 day' then
    raise exception 'The partition of % is not one to drop at %.', month_start, at_time using errcode = '22023';
  end if;
  if not pg_try_advisory_xact_lock(hashtext('dispatcher.drop_partition')) then
    return 'BUSY';
  end if;
  if not exists (select from pg_class c
                  where c.relnamespace = 'dispatcher'::regnamespace and c.relname = 'triggers_' || month) then
    return 'MISSING';
  end if;
  execute format(
    'select exists (select from dispatcher.%I t left join dispatcher.retention r on r.project_id = t.project_id
                     where dispatcher.is_expired(t.state, t.fire_time, t.end_time, r.days,
                             dispatcher.known_floor(r.set_time, r.floor_time, r.known_floor_time, $2), $1) is not true)',
    'triggers_' || month) into is_kept using at_time, grace_ms;
  if is_kept then
    return 'KEPT';
  end if;
  lock table only dispatcher.triggers, only dispatcher.attempts in access exclusive mode;
  if exists (select from dispatcher.retention r
              cross join lateral (select from dispatcher.live_triggers l
                                   where l.project_id = r.project_id and l.fire_time >= month_start and l.fire_time < month_end
                                   limit 1) as l) then
    return 'KEPT';
  end if;
  foreach name in array array['triggers_' || month, 'attempts_' || month] loop
    execute format('drop table if exists dispatcher.%I', name);
  end loop;
  return 'DROPPED';
end
$$;

revoke execute on function dispatcher.is_expired, dispatcher.known_floor, dispatcher.retention_floor, dispatcher.drop_partition,
  scheduler.first_undecided from public;
grant execute on function dispatcher.is_expired, dispatcher.known_floor, dispatcher.drop_partition, scheduler.first_undecided
  to easycron_dispatcher;
grant execute on function dispatcher.retention_floor to easycron_scheduler;
