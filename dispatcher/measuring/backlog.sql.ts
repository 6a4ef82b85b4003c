import { statement } from "../../db/statement.ts";

/** The triggers that wait for us, or for what is the customer's. */
export interface BacklogRow {
  readonly part: "ours" | "theirs";
  /** At most the limit. */
  readonly count: number;
  /** When the oldest was due, in epoch milliseconds; null when there is none. */
  readonly oldest_time: number | null;
}

/**
 * Counts the live triggers that were due before $1 and that nobody attempts now. Of each dispatcher, and of what none
 * owns, the $2 that were due first are looked at: the index live_triggers_due begins with the owner.
 */
export const backlogCount = statement<BacklogRow>(
  "backlogCount",
  `with owners as (
     select null::text collate "C" as owner union all select i.id from dispatcher.instances i
   ), late as (
     select l.due_time, t.waiting_for
       from owners o
      cross join lateral (
        (select l.id, l.fire_time, l.due_time from dispatcher.live_triggers l
          where o.owner is null and l.owner is null and l.due_time < $1 order by l.owner, l.due_time limit $2)
        union all
        (select l.id, l.fire_time, l.due_time from dispatcher.live_triggers l
          where l.owner = o.owner and l.due_time < $1 order by l.owner, l.due_time limit $2)
      ) as l
       join dispatcher.triggers t on t.id = l.id and t.fire_time = l.fire_time
      where t.state in ('PENDING', 'RETRYING')
   )
   select parts.part, count(late.due_time)::int as count, min(late.due_time) as oldest_time
     from (values ('ours'), ('theirs')) as parts (part)
     left join late on (late.waiting_for is null) = (parts.part = 'ours')
    group by parts.part`,
);
