import { statement } from "../../db/statement.ts";
import { NOTED, NOTED_COLUMNS } from "../waiting/noting.sql.ts";
import { AT_FREE_PLACE, ENDED_LEAVE, FREE, SIGNALLED, signal } from "../waiting/triggers.sql.ts";

/**
 * The change `c` of trigger `t`, looked up once for the row. Triggers are looked up in a JSON object and not joined, for
 * the reason given in triggers.sql.ts.
 */
const changeOf = (changes: string) => `(select ${changes}::jsonb -> t.id as c offset 0) as change`;

/** The condition under which a result changes its trigger; `changes` is the parameter with the changes by trigger id. */
const concerns = (changes: string) => `t.state in ('PENDING', 'RUNNING', 'RETRYING') and (select
          (t.state = 'RUNNING' and t.attempt_count = (c -> 1)::integer)
       or (c ->> 0 = 'SUCCEEDED' and c ->> 6 is null and (c -> 1)::integer > t.attempt_base)
       or (t.state = 'RETRYING' and c ->> 0 = 'RETRYING' and t.attempt_count = (c -> 1)::integer
           and t.owner is not distinct from c ->> 5)
       from ${changeOf(changes)})`;

/** The signals to the scheduler. A receiver that answers something else than 410 or `disable` causes none. */
const SIGNALS = signal(
  "coalesce($17::jsonb ->> c.id, 'EXHAUSTED')",
  "c.end_time is not null and (c.state = 'EXHAUSTED' or $17::jsonb ? c.id)",
);

/**
 * Records ended attempts and changes the triggers $1 (nominal times from $2 to $3). $4 has the changes by trigger id: the
 * new state, the attempt's number, its end, its start if it was the first attempt, and for RETRYING the next due time and
 * the owner. If the attempt is to be recorded in the row of the trigger, its id, duration, status code, answer, timing
 * and headers of the answer follow; it must be a first attempt that succeeded. All other attempts are in $5 to $16, and get rows of their own.
 *
 * An attempt that has a row already is not changed, unless it is recorded as UNKNOWN and its outcome is known now. A
 * trigger is changed by
 *
 * - a success, if the trigger has not ended: a slow attempt may succeed after the next one was started. It does not count
 *   if a backfill has made the trigger due again since;
 * - any result of its latest attempt, while the trigger is RUNNING;
 * - the same RETRYING result once more, because the answer to the first statement may have been lost.
 *
 * What is to be recorded in the row of the trigger is so only if it is the latest attempt. Otherwise nothing is recorded,
 * and the result has to be given once more with the others.
 *
 * The claim has set start_time to the time of the claim. The first attempt (the first since a backfill, if there was
 * one) replaces it by the exact start. A trigger that is no longer wanted (it has a cancel_time) becomes CANCELLED
 * instead of RETRYING or EXHAUSTED. Returns the changed triggers with their new state.
 *
 * $17 has, by trigger id, the ends because of which the job is to be paused. These, and triggers that are EXHAUSTED now,
 * are told to the scheduler in the same statement, which also notes what alerts report (`NOTED`).
 *
 * A trigger that another transaction has locked is not changed, so that it does not delay the others. An attempt that gets
 * a row of its own is recorded all the same.
 */
export const resultRecord = statement<{ id: string; state: string }>(
  "resultRecord",
  `${FREE}, recorded as (
     insert into dispatcher.attempts as a (trigger_id, fire_time, number, id, outcome, start_time, duration_ms,
            status_code, error, response_body, timing, response_headers)
     select * from unnest($5::text[], $6::timestamptz[], $7::integer[], $8::text[], $9::text[], $10::timestamptz[],
                          $11::integer[], $12::integer[], $13::text[], $14::text[], $15::text[], $16::text[])
     on conflict (trigger_id, number, fire_time) do update
        set outcome = excluded.outcome, start_time = excluded.start_time, duration_ms = excluded.duration_ms,
            status_code = excluded.status_code, error = excluded.error, response_body = excluded.response_body,
            timing = excluded.timing, response_headers = excluded.response_headers
      where a.outcome = 'UNKNOWN' and excluded.outcome <> 'UNKNOWN'
   ), changed as (
     update dispatcher.triggers t
        set (state, end_time, start_time, due_time, owner, first_attempt_id, first_duration_ms, first_status_code,
             first_response_body, first_timing, first_response_headers) = (
              select case when c ->> 0 <> 'SUCCEEDED' and t.cancel_time is not null then 'CANCELLED' else c ->> 0 end,
                     case when c ->> 0 <> 'RETRYING' or t.cancel_time is not null then (c ->> 2)::timestamptz end,
                     coalesce((c ->> 3)::timestamptz, t.start_time),
                     coalesce((c ->> 4)::timestamptz, t.due_time),
                     case when t.cancel_time is null then c ->> 5 end,
                     coalesce(c ->> 6, t.first_attempt_id),
                     coalesce((c ->> 7)::integer, t.first_duration_ms),
                     coalesce((c ->> 8)::integer, t.first_status_code),
                     coalesce(c ->> 9, t.first_response_body),
                     coalesce(c ->> 10, t.first_timing),
                     coalesce(c ->> 11, t.first_response_headers)
                from ${changeOf("$4")})
      where ${AT_FREE_PLACE} and ${concerns("$4")}
     returning ${SIGNALLED}, ${NOTED_COLUMNS}
   ), ${ENDED_LEAVE}, ${SIGNALS}, put_back as (
     update dispatcher.live_triggers l
        set owner = $4::jsonb -> l.id ->> 5, due_time = ($4::jsonb -> l.id ->> 4)::timestamptz
      where l.id = any (array(select id from changed where end_time is null))
   )
   select id, state, ${NOTED} as noted from changed c`,
);

/**
 * Does what `resultRecord` does with first attempts that succeeded and are to be recorded in the rows of their triggers, and
 * because of which no job is to be paused. Most results are of this kind, and it costs two thirds for them. $4 has by trigger
 * id: the attempt's end, start, id, duration, status code, answer, timing and headers of the answer. Returns the triggers that
 * have succeeded. A trigger that another transaction has locked, or of which this is not the latest attempt, is not changed;
 * its result is then for `resultRecord`.
 */
export const resultSucceed = statement<{ id: string }>(
  "resultSucceed",
  `${FREE}, changed as (
     update dispatcher.triggers t
        set state = 'SUCCEEDED', owner = null,
            (end_time, start_time, first_attempt_id, first_duration_ms, first_status_code, first_response_body,
             first_timing, first_response_headers) = (
              select (c ->> 0)::timestamptz, (c ->> 1)::timestamptz, c ->> 2, (c ->> 3)::integer, (c ->> 4)::integer,
                     c ->> 5, c ->> 6, c ->> 7
                from ${changeOf("$4")})
      where ${AT_FREE_PLACE} and t.state = 'RUNNING' and t.attempt_count = 1
     returning t.id, t.end_time
   ), ${ENDED_LEAVE}
   select id from changed`,
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
