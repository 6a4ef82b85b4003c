-- Triggers wait for the limits of a flow key, or for a destination that fails.

alter table dispatcher.triggers
  -- What a trigger that is due waits for, in state PENDING or RETRYING.
  add column waiting_for text,
  -- When it began to wait before its first attempt, and when that wait ended. They count only if they are later than
  -- effective_time: a replay leaves the values of earlier attempts behind.
  add column waiting_since timestamptz,
  add column waited_until timestamptz,
  add constraint triggers_waiting_for check (waiting_for in ('FLOW', 'BREAKER', 'RETRY_AFTER')) not valid;

-- Returns how late the latest attempts of triggers started, and the part of that which is the target's: what a trigger
-- waited for before its first attempt, and what passed from the first attempt since the trigger was last made due to the
-- latest, without what passed after an attempt that was lost with its process. An attempt in flight is not recorded yet: it
-- has started when it was due, or soon after. Triggers that no attempt has been started of are left out.
create or replace function dispatcher.lateness(of_project_id text, trigger_ids text[], fire_times timestamptz[])
returns table (id text, total_ms bigint, theirs_ms bigint)
language sql stable security definer set search_path = pg_catalog
as $$
  select l.id, l.total_ms, least(l.total_ms, greatest(0, l.retried_ms - l.lost_ms) + l.waited_ms)
    from (
      select t.id,
             greatest(0, floor(extract(epoch from a.latest_time - t.effective_time) * 1000))::bigint as total_ms,
             floor(extract(epoch from a.latest_time - t.start_time) * 1000)::bigint as retried_ms,
             floor(a.lost_seconds * 1000)::bigint as lost_ms,
             case when t.waited_until > t.effective_time
                  then greatest(0, floor(extract(epoch from least(t.waited_until, t.start_time)
                                                            - greatest(t.waiting_since, t.effective_time)) * 1000))
                  else 0 end::bigint as waited_ms
        from unnest(trigger_ids, fire_times) as w (id, fire_time)
       cross join lateral (select t.id, t.effective_time, t.start_time, t.attempt_base, t.waiting_since, t.waited_until,
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
