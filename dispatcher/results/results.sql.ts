import { statement } from "../../db/statement.ts";

/** The condition under which a result changes its trigger; `changes` is the parameter with the changes by trigger id. */
const concerns = (changes: string) => `(
          (t.state = 'RUNNING' and t.attempt_count = (${changes}::jsonb -> t.id -> 1)::integer)
       or (${changes}::jsonb -> t.id ->> 0 = 'SUCCEEDED' and t.state in ('PENDING', 'RUNNING', 'RETRYING'))
       or (t.state = 'RETRYING' and ${changes}::jsonb -> t.id ->> 0 = 'RETRYING'
           and t.attempt_count = (${changes}::jsonb -> t.id -> 1)::integer
           and t.owner is not distinct from ${changes}::jsonb -> t.id ->> 5))`;

/**
 * Records ended attempts ($1 to $10; nominal times from $11 to $12) and changes their triggers. $13 has the changes by
 * trigger id: the new state, the attempt's number, its end, its start if it was the first attempt, and for RETRYING the
 * next due time and the owner.
 *
 * An attempt that is recorded already is not changed, unless it is recorded as UNKNOWN and its outcome is known now. A
 * trigger is changed by
 *
 * - a success, if the trigger has not ended: a slow attempt may succeed after the next one was started;
 * - any result of its latest attempt, while the trigger is RUNNING;
 * - the same RETRYING result once more, because the answer to the first statement may have been lost.
 *
 * The claim has set start_time to the time of the claim. The first attempt (the first since a backfill, if there was
 * one) replaces it by the exact start. A trigger that is no longer wanted (it has a cancel_time) becomes CANCELLED
 * instead of RETRYING or EXHAUSTED. Returns the changed triggers with their new state. Triggers are looked up in a JSON
 * object and not joined, for the reason given in triggers.sql.ts.
 *
 * A trigger that another transaction has locked is not changed, so that it does not delay the others. Its attempt is
 * recorded all the same.
 */
export const resultRecord = statement<{ id: string; state: string }>(
  "resultRecord",
  `with free as materialized (
     select t.id from dispatcher.triggers t
      where t.id = any ($1::text[]) and t.fire_time between $11 and $12 for no key update skip locked
   ), recorded as (
     insert into dispatcher.attempts as a (trigger_id, fire_time, number, id, outcome, start_time, duration_ms,
            status_code, error, response_body)
     select * from unnest($1::text[], $2::timestamptz[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[],
                          $7::integer[], $8::integer[], $9::text[], $10::text[])
     on conflict (trigger_id, number, fire_time) do update
        set outcome = excluded.outcome, start_time = excluded.start_time, duration_ms = excluded.duration_ms,
            status_code = excluded.status_code, error = excluded.error, response_body = excluded.response_body
      where a.outcome = 'UNKNOWN' and excluded.outcome <> 'UNKNOWN'
   )
   update dispatcher.triggers t
      set state = case when $13::jsonb -> t.id ->> 0 <> 'SUCCEEDED' and t.cancel_time is not null then 'CANCELLED'
                       else $13::jsonb -> t.id ->> 0 end,
          end_time = case when $13::jsonb -> t.id ->> 0 <> 'RETRYING' or t.cancel_time is not null
                          then ($13::jsonb -> t.id ->> 2)::timestamptz end,
          start_time = coalesce(($13::jsonb -> t.id ->> 3)::timestamptz, t.start_time),
          due_time = coalesce(($13::jsonb -> t.id ->> 4)::timestamptz, t.due_time),
          owner = case when t.cancel_time is null then $13::jsonb -> t.id ->> 5 end
    where t.id = any (array(select id from free)) and t.fire_time between $11 and $12 and ${concerns("$13")}
   returning t.id, t.state`,
);

/**
 * Reads which of the triggers $1 (nominal times from $2 to $3) the changes $4 of `resultRecord` still concern. Does not
 * wait for locks. To be called for what `resultRecord` has not changed.
 */
export const resultReadUnrecorded = statement<{ id: string }>(
  "resultReadUnrecorded",
  `select t.id from dispatcher.triggers t
    where t.id = any ($1::text[]) and t.fire_time between $2 and $3 and ${concerns("$4")}`,
);
