import { statement } from "../../db/statement.ts";
import { FREE, WAITS } from "../waiting/triggers.sql.ts";

/**
 * The part of both statements that says what a trigger waits for. $5 has, by trigger id, a list of what it waits for, since
 * when, the number of attempts started, and, to put it off, the new due time.
 */
const CHANGE = `waiting_for = $5::jsonb -> t.id ->> 0,
          waiting_since = case when t.attempt_count > t.attempt_base then t.waiting_since
                               else ($5::jsonb -> t.id ->> 1)::timestamptz end`;
const IS_WAITING = `t.id = any (array(select id from free)) and t.fire_time between $2 and $3 and t.owner = $4 and ${WAITS}
      and t.attempt_count = ($5::jsonb -> t.id ->> 2)::integer`;

/**
 * Records what the triggers $1 (nominal times from $2 to $3) wait for, so that customers see it. Changes only triggers that
 * instance $4 owns and that are not claimed, and no row that another transaction has locked.
 */
export const triggerShowWait = statement<{ id: string }>(
  "triggerShowWait",
  `${FREE}
   update dispatcher.triggers t set ${CHANGE} where ${IS_WAITING} returning t.id`,
);

/** Does the same, and makes the triggers due later and removes their owner. No attempt is counted. */
export const triggerDefer = statement<{ id: string }>(
  "triggerDefer",
  `${FREE}, changed as (
   update dispatcher.triggers t
      set ${CHANGE}, owner = null, due_time = ($5::jsonb -> t.id ->> 3)::timestamptz
    where ${IS_WAITING}
   returning t.id, t.due_time
   ), put_back as (
     update dispatcher.live_triggers l
        set owner = null, due_time = ($5::jsonb -> l.id ->> 3)::timestamptz
      where l.id = any (array(select id from changed))
   )
   select id from changed`,
);
