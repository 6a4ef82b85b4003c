import { statement } from "../../db/statement.ts";

// Leases are measured by PostgreSQL's clock, the one that all dispatchers share.

/** Adds instance $1 with a lease of $3 milliseconds, started at $2. */
export const instanceInsert = statement<{ id: string }>(
  "instanceInsert",
  `insert into dispatcher.instances (id, start_time, lease_until)
   values ($1, $2, now() + $3::integer * interval '1 millisecond') returning id`,
);

/** Renews the lease of instance $1, by $2 milliseconds from now, if it has not run out. */
export const instanceRenewIfLive = statement<{ id: string }>(
  "instanceRenewIfLive",
  `update dispatcher.instances set lease_until = now() + $2::integer * interval '1 millisecond'
    where id = $1 and lease_until > now() returning id`,
);

/**
 * The instances whose lease has run out, and the owners of live triggers that are no instance at all. The owners are
 * found by leaping from one to the next in the index.
 */
export const instanceListDead = statement<{ id: string }>(
  "instanceListDead",
  `with recursive owners as (
     select (select min(owner) from dispatcher.triggers where end_time is null and owner > '') as id
      union all
     select (select min(t.owner) from dispatcher.triggers t where t.end_time is null and t.owner > o.id)
       from owners o where o.id is not null
   )
   select id from dispatcher.instances where lease_until <= now()
    union
   select o.id from owners o
    where o.id is not null and not exists (select from dispatcher.instances i where i.id = o.id)`,
);

/** Removes instance $1 if it owns nothing any more. */
export const instanceDeleteIfIdle = statement<{ id: string }>(
  "instanceDeleteIfIdle",
  `delete from dispatcher.instances i
    where i.id = $1 and not exists (select from dispatcher.triggers t where t.owner = i.id and t.end_time is null)
   returning i.id`,
);

/**
 * Frees at $2 at most $3 triggers of instance $1: those named by $6, or, if $6 is null, any. One that was RUNNING is RETRYING at
 * once, or CANCELLED if it is not wanted any more, and its attempt is recorded as UNKNOWN under an id of $4; when that
 * began is known exactly for the first attempt, and by its due time for a later one. Rows that somebody is writing
 * are left for the next call.
 */
export const instanceReleaseTriggers = statement<{ id: string }>(
  "instanceReleaseTriggers",
  `with freed as materialized (
     select id, fire_time, state, attempt_count, greatest(start_time, due_time) as attempt_time
       from dispatcher.triggers
      where owner = $1 and end_time is null and ($6::text[] is null or id = any ($6))
      order by owner, due_time limit $3 for update skip locked
   ), lost as materialized (
     select f.*, ($4::text[])[row_number() over ()] as attempt_id from freed f where f.state = 'RUNNING'
   ), recorded as (
     insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, error)
     select id, fire_time, attempt_count, attempt_id, 'UNKNOWN', attempt_time,
            least(greatest(0, extract(epoch from $2::timestamptz - attempt_time) * 1000), 2147483647)::integer, $5
       from lost
     on conflict (trigger_id, number, fire_time) do nothing
   )
   update dispatcher.triggers t
      set owner = null,
          state = case when t.state <> 'RUNNING' then t.state when t.cancel_time is null then 'RETRYING'
                       else 'CANCELLED' end,
          due_time = case when t.state = 'RUNNING' then $2 else t.due_time end,
          end_time = case when t.state = 'RUNNING' and t.cancel_time is not null then $2 end
    where t.id = any (array(select id from freed)) and t.owner = $1
   returning t.id`,
);

/** Live triggers that instance $1 owns, due by $2, after the place ($3, $4) in the order of due time and id, at most $5. */
export const instanceListOverdue = statement<{ id: string; due_time: number }>(
  "instanceListOverdue",
  `select id, due_time from dispatcher.triggers
    where owner = $1 and end_time is null and due_time <= $2 and due_time >= $3 and (due_time, id) > ($3, $4)
    order by owner, due_time, id limit $5`,
);
