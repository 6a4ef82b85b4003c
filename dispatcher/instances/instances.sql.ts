import { statement } from "../../db/statement.ts";
import type { ListedTrigger } from "../waiting/held-trigger.ts";
import { NOTED, NOTED_COLUMNS } from "../waiting/noting.sql.ts";
import {
  ACKNOWLEDGEMENT_OWNER,
  ENDED_LEAVE,
  rowOfLive,
  UNLOCKED_ONLY,
  WAITS,
} from "../waiting/triggers.sql.ts";

// Leases are measured by PostgreSQL's clock, because all dispatchers share it.

/** Adds instance $1, which was started at $2 with the master key $4, with a lease of $3 milliseconds from now. */
export const instanceInsert = statement<{ id: string }>(
  "instanceInsert",
  `insert into dispatcher.instances (id, start_time, lease_until, alive_time, master_key_id)
   values ($1, $2, now() + $3::integer * interval '1 millisecond', now(), $4) returning id`,
);

/** Renews the lease of instance $1 to $2 milliseconds from now, unless it has expired. */
export const instanceRenewIfLive = statement<{ id: string }>(
  "instanceRenewIfLive",
  `update dispatcher.instances set lease_until = now() + $2::integer * interval '1 millisecond'
    where id = $1 and lease_until > now() returning id`,
);

/** Records that the process of instance $1 runs. */
export const instanceBeat = statement<{ id: string }>(
  "instanceBeat",
  `update dispatcher.instances set alive_time = now() where id = $1 returning id`,
);

/** Lists the instances whose lease has expired. */
export const instanceListDead = statement<{ id: string }>(
  "instanceListDead",
  `select id from dispatcher.instances where lease_until <= now()`,
);

/** Returns whether there are instances besides $1. */
export const instanceHasOthers = statement<{ has_others: boolean }>(
  "instanceHasOthers",
  `select exists (select from dispatcher.instances where id <> $1) as has_others`,
);

/**
 * Lists the instances that have shown no sign of life for $2 milliseconds, if instance $1 has a valid lease and has
 * shown one within $3 milliseconds. If PostgreSQL is slow, instance $1 has not either, and nobody counts as stalled.
 */
export const instanceListStalled = statement<{ id: string }>(
  "instanceListStalled",
  `select i.id from dispatcher.instances i
    where i.id <> $1 and i.alive_time < now() - $2::integer * interval '1 millisecond'
      and exists (select from dispatcher.instances me
                   where me.id = $1 and me.lease_until > now()
                     and me.alive_time > now() - $3::integer * interval '1 millisecond')`,
);

/**
 * Lists the owners of unfinished triggers that have no row in instances, but for that of triggers that are ACCEPTED. The recursive query finds the owners by jumping
 * from one to the next in the index. While a long snapshot keeps dead rows, each jump reads over those of one owner.
 */
export const instanceListStrangers = statement<{ id: string }>(
  "instanceListStrangers",
  `with recursive owners as (
     select (select min(owner) from dispatcher.live_triggers where owner > '') as id
      union all
     select (select min(l.owner) from dispatcher.live_triggers l where l.owner > o.id)
       from owners o where o.id is not null
   )
   select o.id from owners o
    where o.id <> '${ACKNOWLEDGEMENT_OWNER}' and not exists (select from dispatcher.instances i where i.id = o.id)`,
);

/** Removes instance $1 if it owns no unfinished trigger. */
export const instanceDeleteIfIdle = statement<{ id: string }>(
  "instanceDeleteIfIdle",
  `delete from dispatcher.instances i
    where i.id = $1 and not exists (select from dispatcher.live_triggers l where l.owner = i.id)
   returning i.id`,
);

/** A trigger that was released. */
export interface ReleasedRow {
  readonly id: string;
  /** When it was due. Epoch milliseconds. */
  readonly due_time: number;
  readonly job_uid: string;
  readonly revision: number;
  /** Whether it is CANCELLED now. */
  readonly ended: boolean;
}

/**
 * Releases at most $3 triggers of instance $1 at $2: the triggers $6, or any if $6 is null. A RUNNING trigger becomes
 * RETRYING and due at once, or CANCELLED if it is no longer wanted. Its attempt is recorded as UNKNOWN under one of the
 * ids $4, with the error $5. The recorded start of a first attempt is exact; for a later attempt, it is the due time.
 * Rows that another transaction has locked are left for the next call. Reads only triggers that are due at $7 or later,
 * so that a call does not read again what the calls before it have released. Returns each trigger with the due time that
 * it had. Leaves out the triggers $8.
 */
export const instanceReleaseTriggers = statement<ReleasedRow>(
  "instanceReleaseTriggers",
  `with freed as materialized (
     select t.*, row_number() over () as place from (
       select t.* from dispatcher.live_triggers l
              ${rowOfLive(
                `t.id, t.fire_time, t.due_time, t.state, t.attempt_count,
                   greatest(t.start_time, t.due_time) as attempt_time`,
                "t.owner = $1 and t.end_time is null",
                UNLOCKED_ONLY,
              )}
        where l.owner = $1 and l.due_time >= $7 and ($6::text[] is null or l.id = any ($6))
          and l.id <> all ($8::text[])
        order by l.owner, l.due_time limit $3) as t
   ), recorded as (
     insert into dispatcher.attempts (trigger_id, fire_time, number, id, outcome, start_time, duration_ms, error)
     select id, fire_time, attempt_count, ($4::text[])[place], 'UNKNOWN', attempt_time,
            least(greatest(0, extract(epoch from $2::timestamptz - attempt_time) * 1000), 2147483647)::integer, $5
       from freed where state = 'RUNNING'
     on conflict (trigger_id, number, fire_time) do nothing
   ), changed as (
     update dispatcher.triggers t
        set owner = null,
            state = case when t.state <> 'RUNNING' then t.state when t.cancel_time is null then 'RETRYING'
                         else 'CANCELLED' end,
            due_time = case when t.state = 'RUNNING' then $2 else t.due_time end,
            end_time = case when t.state = 'RUNNING' and t.cancel_time is not null then $2 end
      where t.id = any (array(select id from freed)) and t.owner = $1
        and t.fire_time between (select min(fire_time) from freed) and (select max(fire_time) from freed)
     returning t.id, (select f.due_time from freed f where f.id = t.id) as due_time, t.job_uid, t.revision, t.end_time, t.state,
               t.fire_time, ${NOTED_COLUMNS}
   ), ${ENDED_LEAVE}, put_back as (
     update dispatcher.live_triggers l
        set owner = null,
            due_time = case when l.id = any (array(select id from freed where state = 'RUNNING')) then $2
                            else l.due_time end
      where l.id = any (array(select id from changed where end_time is null))
   )
   select id, due_time, job_uid, revision, end_time is not null as ended,
          case when c.id = any (array(select id from freed where state = 'RUNNING')) then ${NOTED} end as noted
     from changed c`,
);

/**
 * Lists at most $3 unfinished triggers of instance $1 that are due at $2 or later, earliest first, without the triggers
 * $4: the triggers $5, or any if $5 is null.
 */
export const instanceListOwned = statement<ListedTrigger>(
  "instanceListOwned",
  `select id, project_id, job_uid, due_time from dispatcher.live_triggers
    where owner = $1 and due_time >= $2 and id <> all ($4::text[])
      and ($5::text[] is null or id = any ($5))
    order by owner, due_time limit $3`,
);

/**
 * Removes the owner, instance $1, of at most $3 triggers that are due at $2 or later and have no attempt in flight,
 * earliest first. Rows that another transaction has locked are left, and so are the triggers $4. Changes only the triggers
 * $5, or any if $5 is null.
 */
export const instanceGiveUpWaiting = statement<{ id: string; due_time: number }>(
  "instanceGiveUpWaiting",
  `with freed as materialized (
     select t.id, t.fire_time from dispatcher.live_triggers l
            ${rowOfLive("t.id, t.fire_time", `t.owner = $1 and ${WAITS}`, UNLOCKED_ONLY)}
      where l.owner = $1 and l.due_time >= $2 and l.id <> all ($4::text[]) and ($5::text[] is null or l.id = any ($5))
      order by l.owner, l.due_time limit $3
   ), queued as (
     update dispatcher.live_triggers l set owner = null where l.id = any (array(select id from freed))
   )
   update dispatcher.triggers t set owner = null
    where t.id = any (array(select id from freed))
      and t.fire_time between (select min(fire_time) from freed) and (select max(fire_time) from freed)
   returning t.id, t.due_time`,
);

/**
 * Lists at most $5 unfinished triggers of instance $1 that are due by $2, by due time and id, after the cursor ($3,
 * $4).
 */
export const instanceListOverdue = statement<{ id: string; due_time: number }>(
  "instanceListOverdue",
  `select id, due_time from dispatcher.live_triggers
    where owner = $1 and due_time <= $2 and due_time >= $3 and (due_time, id) > ($3, $4)
    order by owner, due_time, id limit $5`,
);
