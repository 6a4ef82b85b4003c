import { statement } from "../db/statement.ts";

/**
 * Records ended attempts and what becomes of their triggers. An attempt that is there already stays, unless it was
 * put down as UNKNOWN and more is known now. A trigger follows
 *
 * - success, as long as it has not come to rest: a slow attempt may succeed after the next one was begun;
 * - any result of the attempt that is its latest, RUNNING;
 * - the same pause once more, when the answer to its first writing was lost.
 *
 * The claim has put down when it was made; the first attempt knows better when it started. What is no longer wanted
 * (cancel_time) is CANCELLED instead of tried again or EXHAUSTED. Returns the triggers that
 * followed, with their new state.
 */
export const resultRecord = statement<{ id: string; state: string }>(
  "resultRecord",
  `with given as materialized (
     select * from unnest($1::text[], $2::timestamptz[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[],
                          $7::integer[], $8::integer[], $9::text[], $10::text[], $11::text[], $12::timestamptz[],
                          $13::timestamptz[], $14::text[])
       as g (trigger_id, fire_time, number, attempt_id, outcome, start_time, duration_ms, status_code, error,
             response_body, state, end_time, due_time, owner)
   ), recorded as (
     insert into dispatcher.attempts as a (trigger_id, fire_time, number, id, outcome, start_time, duration_ms,
            status_code, error, response_body)
     select trigger_id, fire_time, number, attempt_id, outcome, start_time, duration_ms, status_code, error,
            response_body
       from given
     on conflict (trigger_id, number, fire_time) do update
        set outcome = excluded.outcome, start_time = excluded.start_time, duration_ms = excluded.duration_ms,
            status_code = excluded.status_code, error = excluded.error, response_body = excluded.response_body
      where a.outcome = 'UNKNOWN' and excluded.outcome <> 'UNKNOWN'
   )
   update dispatcher.triggers t
      set state = case when g.state <> 'SUCCEEDED' and t.cancel_time is not null then 'CANCELLED' else g.state end,
          end_time = case when g.state = 'RETRYING' and t.cancel_time is null then null else g.end_time end,
          due_time = case when g.state = 'RETRYING' then g.due_time else t.due_time end,
          start_time = case when g.number = 1 then g.start_time else t.start_time end,
          owner = case when g.state = 'RETRYING' and t.cancel_time is null then g.owner end
     from given g
    where t.id = g.trigger_id and t.fire_time = g.fire_time
      and ((g.state = 'SUCCEEDED' and t.state in ('PENDING', 'RUNNING', 'RETRYING'))
           or (t.state = 'RUNNING' and t.attempt_count = g.number)
           or (t.state = 'RETRYING' and g.state = 'RETRYING' and t.attempt_count = g.number
               and t.owner is not distinct from g.owner))
   returning t.id, t.state`,
);
