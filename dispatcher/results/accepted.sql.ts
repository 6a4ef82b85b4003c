import { statement } from "../../db/statement.ts";
import { ACKNOWLEDGEMENT_OWNER, AT_FREE_PLACE, FREE, signal } from "../waiting/triggers.sql.ts";

/** No extension makes a trigger wait for its acknowledgement for longer than this after the start of its attempt. */
export const LONGEST_WAIT_MS = 7 * 86_400_000;

const ACCEPTED = `t.state = 'RUNNING' and t.attempt_count = ($4::jsonb -> t.id ->> 0)::integer`;

/**
 * Records attempts that succeeded and have to be acknowledged, and makes the triggers $1 (nominal times from $2 to $3)
 * ACCEPTED. An attempt that is recorded as UNKNOWN is changed, unless it is so because its acknowledgement has not come in
 * time: then it has a status code. $4 has by trigger id: the attempt's number, its end, its start if it was the first
 * attempt, the deadline of the acknowledgement, and until when it may be extended. The attempts are in $5 to $14. $15 has, by
 * trigger id, the answers because of which the job is to be paused; these are told to the scheduler in the same statement.
 *
 * A trigger is changed while it is RUNNING and this is its latest attempt. Its receiver may have acknowledged it already: a
 * failure makes the deadline that of now, so that it is dealt with at once, and an extension may make it later. To repeat
 * the statement changes nothing. A trigger that another transaction has locked is not changed; its attempt is recorded.
 */
export const acceptedRecord = statement<{ id: string; state: string }>(
  "acceptedRecord",
  `${FREE}, recorded as (
     insert into dispatcher.attempts as a (trigger_id, fire_time, number, id, outcome, start_time, duration_ms,
            status_code, response_body, timing, response_headers)
     select g.trigger_id, g.fire_time, g.number, g.id, 'SUCCEEDED', g.start_time, g.duration_ms, g.status_code, g.body,
            g.timing, g.headers
       from unnest($5::text[], $6::timestamptz[], $7::integer[], $8::text[], $9::timestamptz[], $10::integer[],
                   $11::integer[], $12::text[], $13::text[], $14::text[])
         as g (trigger_id, fire_time, number, id, start_time, duration_ms, status_code, body, timing, headers)
     on conflict (trigger_id, number, fire_time) do update
        set outcome = excluded.outcome, start_time = excluded.start_time, duration_ms = excluded.duration_ms,
            status_code = excluded.status_code, error = '', response_body = excluded.response_body,
            timing = excluded.timing, response_headers = excluded.response_headers
      where a.outcome = 'UNKNOWN' and a.status_code is null
   ), changed as (
     update dispatcher.triggers t
        set (state, owner, start_time, due_time) = (
              select 'ACCEPTED', '${ACKNOWLEDGEMENT_OWNER}', coalesce((c ->> 2)::timestamptz, t.start_time),
                     case when t.acknowledged_attempt is distinct from t.attempt_count then (c ->> 3)::timestamptz
                          when t.acknowledgement = 'FAILED' then (c ->> 1)::timestamptz
                          else greatest((c ->> 3)::timestamptz, least(t.extended_time, (c ->> 4)::timestamptz)) end
                from (select $4::jsonb -> t.id as c offset 0) as change)
      where ${AT_FREE_PLACE} and ${ACCEPTED}
     returning t.id, t.due_time, ($4::jsonb -> t.id ->> 1)::timestamptz as end_time, t.project_id, t.job_uid, t.fire_time,
               t.revision
   ), ${signal("$15::jsonb ->> c.id", "$15::jsonb ? c.id")}, moved as (
     update dispatcher.live_triggers l
        set owner = '${ACKNOWLEDGEMENT_OWNER}', due_time = (select c.due_time from changed c where c.id = l.id)
      where l.id = any (array(select id from changed))
   )
   select id, 'ACCEPTED' as state from changed`,
);

/**
 * Reads which of the triggers $1 (nominal times from $2 to $3) the attempts $4 of `acceptedRecord` still concern. Does not
 * wait for locks. To be called for what `acceptedRecord` has not changed.
 */
export const acceptedReadUnrecorded = statement<{ id: string }>(
  "acceptedReadUnrecorded",
  `select t.id from dispatcher.triggers t
    where t.id = any ($1::text[]) and t.fire_time between $2 and $3 and ${ACCEPTED}`,
);
