import { statement } from "../../db/statement.ts";

/** The most earlier triggers that are counted of one. */
const MOST_EARLIER = 50;

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
