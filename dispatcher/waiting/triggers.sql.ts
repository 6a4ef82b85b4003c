import { statement } from "../../db/statement.ts";
import type { HeldTriggerRow, ListedTrigger } from "./held-trigger.ts";
import { NOTED, NOTED_COLUMNS } from "./noting.sql.ts";

// dispatcher.triggers has every trigger. dispatcher.live_triggers has a small row of each that has not ended, with the
// owner and the due time, and it is where triggers are looked for that are due or that somebody owns. A statement that
// changes one of these, or ends a trigger, changes both tables. It locks the row of dispatcher.triggers first, so that a
// row of dispatcher.live_triggers is never waited for.
//
// Rows are selected with `= any (array)`, never by a join with unnest(array). With old statistics of a small table, the
// planner may choose a join that reads the whole table for each element, and keep that plan while the table grows. For the
// same reason the row of a live trigger is read by a lateral subquery that PostgreSQL cannot turn into another join.

/**
 * The owner of triggers that are ACCEPTED. It is no instance, so what looks for triggers that are due, or owned by an
 * instance, does not read them. Their due_time is the deadline of their acknowledgement.
 */
export const ACKNOWLEDGEMENT_OWNER = "acknowledgement";

const COLUMNS = `t.id, t.fire_time, t.effective_time, t.due_time, t.project_id, t.job_uid, t.job_name, t.revision,
  t.kind, t.seq, t.previous_fire_time, t.next_fire_time, t.previous_skipped, t.previous_missed,
  t.payload, t.attempt_count, t.attempt_base, t.waiting_for, t.waiting_since`;

/** Reads those of the triggers $1 (nominal times from $2 to $3) that instance $4 owns and that are PENDING. */
export const triggerReadOwnPending = statement<HeldTriggerRow>(
  "triggerReadOwnPending",
  `select ${COLUMNS} from dispatcher.triggers t
    where t.id = any ($1::text[]) and t.fire_time between $2 and $3 and t.owner = $4 and t.state = 'PENDING'`,
);

/**
 * The row of a live trigger `l`, as subquery `t` with `columns`, if it fulfils `condition`. `end` says how it is locked;
 * or it is `offset 0`, which keeps PostgreSQL from making another join of it.
 */
export const rowOfLive = (columns: string, condition: string, end: string) => `cross join lateral (
            select ${columns} from dispatcher.triggers t
             where t.id = l.id and t.fire_time = l.fire_time and ${condition} ${end}) as t`;
/** How rows are locked that are to be changed: NO KEY UPDATE is the lock that the update takes. */
export const UNLOCKED_ONLY = "for no key update skip locked";
/** Which rows have no attempt in flight. */
export const WAITS = "t.state in ('PENDING', 'RETRYING')";

const LISTED = "l.id, l.project_id, l.job_uid, l.due_time";

const DUE = `l.owner is null and l.due_time between $7 and $2 and l.project_id <> all ($4::text[])
               and ((not $6::boolean and l.project_id <> all ($5::text[]))
                    or (l.kind not in ('CATCHUP', 'BACKFILL') and l.attempt_base = 0))
               and exists (select from dispatcher.instances where id = $1 and lease_until > now())
               and l.id <> all ($8::text[])`;
const IS_DUE = `t.owner is null and t.due_time <= $2 and ${WAITS}`;

/**
 * Makes the instance of parameter `owner` the owner of the rows of a subquery `taken`, in both tables. A row that another
 * statement has taken away from dispatcher.live_triggers is not changed in dispatcher.triggers either.
 */
const takenBy = (owner: string) => `queued as (
     update dispatcher.live_triggers l set owner = ${owner} where l.id = any (array(select id from taken)) returning l.id
   )
   update dispatcher.triggers t set owner = ${owner}
    where t.id = any (array(select id from queued))
      and t.fire_time between (select min(fire_time) from taken) and (select max(fire_time) from taken)
   returning ${COLUMNS}`;

/**
 * Makes instance $1 the owner of at most $3 triggers that have no owner and are due from $7 to $2, earliest first, if its
 * lease is valid. Leaves out all triggers of the projects $4, the late triggers (see isLate) of the projects $5, or all
 * late triggers if $6, and the triggers $8. Takes only the triggers $9, or any if $9 is null. The statement sorts by
 * owner, too, because the index begins with that column.
 */
export const triggerTakeDue = statement<HeldTriggerRow>(
  "triggerTakeDue",
  `with taken as materialized (
     select t.id, t.fire_time from dispatcher.live_triggers l
            ${rowOfLive("t.id, t.fire_time", IS_DUE, UNLOCKED_ONLY)}
      where ${DUE} and ($9::text[] is null or l.id = any ($9))
      order by l.owner, l.due_time limit $3
   ), ${takenBy("$1")}`,
);

/**
 * Lists the triggers that `triggerTakeDue` would take with the same values $1 to $8, locked or not. Asks
 * dispatcher.live_triggers alone, so it may list one whose row of dispatcher.triggers has just been changed; to take that one
 * then takes nothing.
 */
export const triggerListDue = statement<ListedTrigger>(
  "triggerListDue",
  `select ${LISTED} from dispatcher.live_triggers l where ${DUE} order by l.owner, l.due_time limit $3`,
);

const STALLED = `l.owner = any ($1::text[])
               and l.due_time between now() - interval '10 seconds' and now() + interval '1 second'
               and l.project_id <> all ($3::text[])
               and ((not $5::boolean and l.project_id <> all ($4::text[]))
                    or (l.kind not in ('CATCHUP', 'BACKFILL') and l.attempt_base = 0))
               and l.id <> all ($6::text[])`;
const IS_STALLED = `t.owner = any ($1::text[]) and ${WAITS}`;

/**
 * Makes instance $8 the owner of at most $2 triggers that the stalled instances $1 own, that have no attempt in flight,
 * and that are due within the next second or have been overdue for less than 10 s. What has been overdue for longer
 * waits for a slow endpoint. Leaves out the triggers of projects $3, $4 and $5 and the triggers $6 as triggerTakeDue does.
 * Takes only the triggers $7, or any if $7 is null.
 */
export const triggerTakeStalled = statement<HeldTriggerRow>(
  "triggerTakeStalled",
  `with taken as materialized (
     select t.id, t.fire_time from dispatcher.live_triggers l
            ${rowOfLive("t.id, t.fire_time", IS_STALLED, UNLOCKED_ONLY)}
      where ${STALLED} and ($7::text[] is null or l.id = any ($7))
      order by l.owner, l.due_time limit $2
   ), ${takenBy("$8")}`,
);

/** Lists the triggers that `triggerTakeStalled` would take with the same values $1 to $6, locked or not. */
export const triggerListStalled = statement<ListedTrigger>(
  "triggerListStalled",
  `select ${LISTED} from dispatcher.live_triggers l ${rowOfLive("t.id", IS_STALLED, "offset 0")}
    where ${STALLED} order by l.owner, l.due_time limit $2`,
);

/**
 * Locks the rows $1 (nominal times from $2 to $3), without waiting. Rows that another transaction has locked are left
 * out, so that they delay no other row of the same statement. The statements below change only what `free` contains.
 * Every change of a job conflicts with this lock.
 */
export const FREE = `with free as materialized (
     select t.id, t.ctid as place from dispatcher.triggers t
      where t.id = any ($1::text[]) and t.fire_time between $2 and $3 ${UNLOCKED_ONLY}
   )`;
const IS_FREE = "t.id = any (array(select id from free)) and t.fire_time between $2 and $3";
/**
 * Finds the rows of `free` by their places, which takes half the time. A place is that of one row in each partition, so the
 * ids are compared besides: by a hash table, as PostgreSQL makes it for a condition that it cannot turn into a join. It does
 * not find a row that has been changed since the statement began; such a row is left out as if it were locked.
 */
export const AT_FREE_PLACE = `t.ctid = any (array(select place from free)) and t.fire_time between $2 and $3
      and (t.id in (select id from free)) is true`;

/** The parts of a statement that follow `changed`, which returns id and end_time: what has ended leaves the live triggers. */
export const ENDED_LEAVE = `gone as (
     delete from dispatcher.live_triggers l
      where l.id = any (array(select id from changed where end_time is not null))
   )`;
/**
 * What the parts of a statement that tell the scheduler of a trigger's end need of `changed`. A trigger that is EXHAUSTED
 * counts towards the job's autoDisable.
 */
export const SIGNALLED = "t.id, t.state, t.end_time, t.project_id, t.job_uid, t.fire_time, t.revision";
/** The part that adds the signal `kind` of each changed trigger for which `condition` holds. */
export const signal = (kind: string, condition: string) => `signalled as (
     insert into dispatcher.signals (end_time, trigger_id, project_id, job_uid, fire_time, revision, kind)
     select c.end_time, c.id, c.project_id, c.job_uid, c.fire_time, c.revision, ${kind}
       from changed c where ${condition}
     on conflict do nothing
   )`;
const REST_IS_FREE = `freed as (
     update dispatcher.live_triggers l set owner = null
      where l.id = any (array(select id from changed where end_time is null))
   )`;

/**
 * Records that attempt number $4 of the triggers $1 (nominal times from $2 to $3) starts at $5. Changes only triggers
 * that instance $6 owns, that are due by $5, and that have the revision, seq and attempt base that $7 names for their
 * id. These differ when a change of the job has withdrawn the trigger and recorded a new one under the same id, or when
 * a backfill has made it due again. Rows that another transaction has locked are not changed.
 *
 * The statement may be repeated when its answer was lost. It changes no indexed column, so the update is heap-only.
 */
export const triggerClaim = statement<{ id: string }>("triggerClaim", claimWith(""));

/**
 * Does the same for triggers that have waited. Ends their waits: $8 has, by id, when each began to wait before its first
 * attempt, or nothing about one that is tried again.
 */
export const triggerClaimWaited = statement<{ id: string }>(
  "triggerClaimWaited",
  claimWith(`, waiting_for = null,
          waiting_since = coalesce(($8::jsonb ->> t.id)::timestamptz, t.waiting_since),
          waited_until = case when $8::jsonb ? t.id then $5::timestamptz else t.waited_until end`),
);

function claimWith(change: string): string {
  return `${FREE}
   update dispatcher.triggers t
      set state = 'RUNNING', attempt_count = $4, start_time = coalesce(t.start_time, $5)${change}
    where ${AT_FREE_PLACE} and t.owner = $6 and t.due_time <= $5
      and ((t.state in ('PENDING', 'RETRYING') and t.attempt_count = $4 - 1)
           or (t.state = 'RUNNING' and t.attempt_count = $4))
      and $7::jsonb ->> t.id = t.revision || '/' || t.seq || '/' || t.attempt_base
   returning t.id`;
}

/**
 * Whether the next attempt of a trigger may still start: it has the revision, seq, attempt base and number of attempts that
 * the parameter `starts` names for its id. An attempt that an earlier claim has recorded, whose answer was lost, is not
 * counted.
 */
const mayStart = (starts: string) => `t.state in ('PENDING', 'RUNNING', 'RETRYING')
      and ${starts}::jsonb ->> t.id = t.revision || '/' || t.seq || '/' || t.attempt_base || '/' ||
            case when t.state = 'RUNNING' then t.attempt_count - 1 else t.attempt_count end`;

/**
 * Reads those of the triggers $1 (nominal times from $2 to $3) that instance $4 still owns and whose next attempt may
 * still start (`mayStart`, with $5). Does not wait for locks. To be called for what `triggerClaim` or `triggerExhaust` has
 * left out.
 */
export const triggerReadUnclaimed = statement<{ id: string; due_time: number }>(
  "triggerReadUnclaimed",
  `select t.id, t.due_time from dispatcher.triggers t
    where t.id = any ($1::text[]) and t.fire_time between $2 and $3 and t.owner = $4 and ${mayStart("$5")}`,
);

/**
 * Ends the triggers $1 (nominal times from $2 to $3) that instance $5 owns as EXHAUSTED at $4, without an attempt, or as
 * CANCELLED those that are no longer wanted.
 * Changes only triggers whose next attempt might still start (`mayStart`, with $6), and no row that another transaction has
 * locked. An attempt that an earlier claim has recorded, whose answer was lost, was not sent and is removed.
 */
export const triggerExhaust = statement<{ id: string }>(
  "triggerExhaust",
  `${FREE}, changed as (
   update dispatcher.triggers t
      set state = case when t.cancel_time is null then 'EXHAUSTED' else 'CANCELLED' end, end_time = $4, owner = null,
          attempt_count = case when t.state = 'RUNNING' then t.attempt_count - 1 else t.attempt_count end,
          start_time = case when t.state = 'RUNNING' and t.attempt_count = t.attempt_base + 1 then null
                            else t.start_time end
    where ${IS_FREE} and t.owner = $5 and ${mayStart("$6")}
   returning ${SIGNALLED}, ${NOTED_COLUMNS}
   ), ${ENDED_LEAVE}, ${signal("'EXHAUSTED'", "c.state = 'EXHAUSTED'")}
   select id, ${NOTED} as noted from changed c`,
);

/**
 * Removes the owner, instance $4, of the triggers $1 (nominal times from $2 to $3) that have no attempt in flight and
 * that no other transaction has locked.
 */
export const triggerGiveUp = statement<{ id: string }>(
  "triggerGiveUp",
  `${FREE}, changed as (
   update dispatcher.triggers t set owner = null
    where ${IS_FREE} and t.owner = $4 and ${WAITS}
   returning t.id, t.end_time
   ), ${REST_IS_FREE}
   select id from changed`,
);

/**
 * Undoes the claim of attempt number $4 of the triggers $1 (nominal times from $2 to $3) by instance $5, which has not
 * sent them, and removes their owner. A trigger that was cancelled meanwhile becomes CANCELLED. Rows that another
 * transaction has locked are not changed.
 */
export const triggerUnclaim = statement<{ id: string }>(
  "triggerUnclaim",
  `${FREE}, changed as (
   update dispatcher.triggers t
      set attempt_count = $4 - 1, owner = null,
          state = case when t.cancel_time is not null then 'CANCELLED' when $4 = t.attempt_base + 1 then 'PENDING'
                       else 'RETRYING' end,
          start_time = case when $4 = t.attempt_base + 1 then null else t.start_time end,
          end_time = t.cancel_time
    where ${IS_FREE} and t.owner = $5 and t.state = 'RUNNING' and t.attempt_count = $4
   returning t.id, t.end_time
   ), ${ENDED_LEAVE}, ${REST_IS_FREE}
   select id from changed`,
);
