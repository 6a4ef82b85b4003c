import { statement } from "../../db/statement.ts";
import { AT_FREE_PLACE, FREE } from "../waiting/triggers.sql.ts";

/** The most earlier triggers that are counted of one. */
export const MOST_EARLIER = 50;

/**
 * Counts, for those of the triggers $1 that have not ended, the triggers of the job that come before and have not ended
 * either: at most 50. They are ordered by nominal time, and by id if two are equal.
 */
export const triggerCountEarlier = statement<{ id: string; earlier: number }>(
  "triggerCountEarlier",
  `select l.id, (select count(*)::integer from (
             select from dispatcher.live_triggers e
              where e.job_uid = l.job_uid and (e.fire_time, e.id) < (l.fire_time, l.id) limit ${MOST_EARLIER}) as found) as earlier
     from dispatcher.live_triggers l where l.id = any ($1::text[])`,
);

/**
 * Does for triggers of ordered jobs what `triggerClaimWaited` does, with the same values, whether they have waited or not.
 * Leaves out a trigger while an earlier one of its job has not ended: such a one may have been recorded, or replayed, after
 * the order was looked up. The earlier one is read by a subquery that PostgreSQL cannot turn into a join.
 */
export const triggerClaimOrdered = statement<{ id: string }>(
  "triggerClaimOrdered",
  `${FREE}
   update dispatcher.triggers t
      set state = 'RUNNING', attempt_count = $4, start_time = coalesce(t.start_time, $5), waiting_for = null,
          waiting_since = coalesce(($8::jsonb ->> t.id)::timestamptz, t.waiting_since),
          waited_until = case when $8::jsonb ? t.id then $5::timestamptz else t.waited_until end
    where ${AT_FREE_PLACE} and t.owner = $6 and t.due_time <= $5
      and ((t.state in ('PENDING', 'RETRYING') and t.attempt_count = $4 - 1)
           or (t.state = 'RUNNING' and t.attempt_count = $4))
      and $7::jsonb ->> t.id = t.revision || '/' || t.seq || '/' || t.attempt_base
      and coalesce((select false from dispatcher.live_triggers e
                     where e.job_uid = t.job_uid and (e.fire_time, e.id) < (t.fire_time, t.id) limit 1), true)
   returning t.id`,
);
