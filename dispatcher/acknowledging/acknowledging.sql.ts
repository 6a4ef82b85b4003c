import { statement } from "../../db/statement.ts";
import type { TriggerStateName } from "../reading/reads.sql.ts";
import { NOTED } from "../waiting/noting.sql.ts";
import {
  ACKNOWLEDGEMENT_OWNER,
  AT_FREE_PLACE,
  ENDED_LEAVE,
  FREE,
  rowOfLive,
  signal,
} from "../waiting/triggers.sql.ts";

// The row is found by its id alone, and its project is compared afterwards: with both as conditions of an index, PostgreSQL
// might search the index of the project's triggers instead.
const IS_NAMED = "t.id = $1 and (t.project_id = $2) is true";

/**
 * Ends trigger $1 of project $2 as SUCCEEDED at $4, because attempt $3 was acknowledged with message $5. Changes it in every
 * state in which it has not ended, if the attempt was made since the trigger was last made due: an attempt that was given
 * up may succeed, too.
 */
export const acknowledgeSuccess = statement<{ job_uid: string; revision: number }>(
  "acknowledgeSuccess",
  `with changed as (
     update dispatcher.triggers t
        set state = 'SUCCEEDED', end_time = $4, owner = null, acknowledged_attempt = $3, acknowledgement = 'SUCCEEDED',
            acknowledgement_message = $5
      where ${IS_NAMED} and t.end_time is null and t.attempt_base < $3::integer
     returning t.id, t.end_time, t.job_uid, t.revision
   ), ${ENDED_LEAVE}
   select job_uid, revision from changed`,
);

/**
 * Records that attempt $3 of trigger $1 of project $2 was acknowledged as $5, FAILED or EXTENDED, at $4 with message $6. A
 * trigger that is ACCEPTED waits until $4 after a failure, and until $7 at least after an extension, but not for longer
 * than $8 after the start of the attempt. If the attempt has been recorded since the statement began, the statement does not
 * see it; then the start of the first attempt counts. While the attempt is still in flight, the acknowledgement is kept for
 * `acceptedRecord`. Changes nothing if this is not the latest attempt, or it was acknowledged as FAILED before.
 */
export const acknowledgeOtherwise = statement<{ state: TriggerStateName }>(
  "acknowledgeOtherwise",
  `with changed as (
     update dispatcher.triggers t
        set acknowledged_attempt = $3, acknowledgement = $5, acknowledgement_message = $6, extended_time = $7,
            due_time = case when t.state = 'RUNNING' then t.due_time
                            when $5 = 'FAILED' then $4
                            else greatest(t.due_time, least($7::timestamptz, $8::interval + coalesce((
                                   select a.start_time from dispatcher.attempts a
                                    where a.trigger_id = t.id and a.number = $3 and a.fire_time = t.fire_time),
                                   t.start_time))) end
      where ${IS_NAMED} and t.state in ('RUNNING', 'ACCEPTED') and t.attempt_count = $3
        and (t.acknowledged_attempt, t.acknowledgement) is distinct from ($3::integer, 'FAILED')
     returning t.id, t.state, t.due_time
   ), moved as (
     update dispatcher.live_triggers l set due_time = (select c.due_time from changed c)
      where l.id = (select c.id from changed c where c.state = 'ACCEPTED')
   )
   select state from changed`,
);

/** A trigger that is ACCEPTED and whose deadline has passed. Times are epoch milliseconds. */
export interface OverdueRow {
  readonly id: string;
  readonly fire_time: number;
  readonly effective_time: number;
  readonly due_time: number;
  readonly next_fire_time: number | null;
  readonly job_uid: string;
  readonly revision: number;
  readonly attempt_count: number;
  readonly attempt_base: number;
  /** The message of its failure; null if no failure of its latest attempt was acknowledged. */
  readonly failure: string | null;
}

/**
 * Lists at most $3 triggers that are ACCEPTED with a deadline from $2 to $1, earliest first: the trigger $4, or any if $4
 * is null.
 */
export const acknowledgementListOverdue = statement<OverdueRow>(
  "acknowledgementListOverdue",
  `select t.* from dispatcher.live_triggers l
          ${rowOfLive(
            `t.id, t.fire_time, t.effective_time, t.due_time, t.next_fire_time, t.job_uid, t.revision, t.attempt_count,
             t.attempt_base, case when t.acknowledgement = 'FAILED' and t.acknowledged_attempt = t.attempt_count
                                  then t.acknowledgement_message end as failure`,
            "t.state = 'ACCEPTED'",
            "offset 0",
          )}
    where l.owner = '${ACKNOWLEDGEMENT_OWNER}' and l.due_time between $2 and $1 and ($4::text is null or l.id = $4)
    order by l.owner, l.due_time limit $3`,
);

const changeOf = "(select $4::jsonb -> t.id as c offset 0) as change";

/**
 * Ends the wait of those of the triggers $1 (nominal times from $2 to $3) that are still ACCEPTED with a deadline of at most
 * $5. $4 has by trigger id: the new state, the attempt's number, its new due time if it is RETRYING, and the outcome and the
 * error of the attempt. A trigger that is no longer wanted becomes CANCELLED. Returns the changed triggers. Rows that
 * another transaction has locked are not changed.
 */
export const acknowledgementFail = statement<{
  id: string;
  job_uid: string;
  revision: number;
  state: TriggerStateName;
}>(
  "acknowledgementFail",
  `${FREE}, changed as (
     update dispatcher.triggers t
        set (state, end_time, due_time, owner) = (
              select case when t.cancel_time is null then c ->> 0 else 'CANCELLED' end,
                     case when c ->> 0 <> 'RETRYING' or t.cancel_time is not null then $5::timestamptz end,
                     coalesce((c ->> 2)::timestamptz, t.due_time), null
                from ${changeOf})
      where ${AT_FREE_PLACE} and t.state = 'ACCEPTED' and t.due_time <= $5
        and t.attempt_count = (select (c -> 1)::integer from ${changeOf})
     returning t.id, t.fire_time, t.attempt_count, t.attempt_base, t.state, t.due_time, t.end_time, t.project_id, t.job_uid, t.revision
   ), explained as (
     update dispatcher.attempts a
        set outcome = $4::jsonb -> a.trigger_id ->> 3, error = $4::jsonb -> a.trigger_id ->> 4
       from changed c
      where a.trigger_id = c.id and a.number = c.attempt_count and a.fire_time = c.fire_time
        and a.fire_time between $2 and $3
   ), ${ENDED_LEAVE}, ${signal("'EXHAUSTED'", "c.state = 'EXHAUSTED'")}, freed as (
     update dispatcher.live_triggers l
        set owner = null, due_time = (select c.due_time from changed c where c.id = l.id)
      where l.id = any (array(select id from changed where end_time is null))
   )
   select id, job_uid, revision, state, ${NOTED} as noted from changed c`,
);
