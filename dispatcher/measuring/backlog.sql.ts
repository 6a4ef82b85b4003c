import { statement } from "../../db/statement.ts";
import { rowOfLive, WAITS } from "../waiting/triggers.sql.ts";

/** The triggers that wait for us, or for what is the customer's. */
export interface BacklogRow {
  readonly part: "ours" | "theirs";
  /** At most the limit. */
  readonly count: number;
  /** When the oldest was due, in epoch milliseconds; null when there is none. */
  readonly oldest_time: number | null;
}

/** The live triggers that were due before $1 and that fulfil `condition`, as far as they are looked at. */
const lateOf = (condition: string) => `select l.id, l.fire_time, l.due_time
           from (select l.id, l.fire_time, l.due_time, l.kind, l.attempt_base from dispatcher.live_triggers l
                  where ${condition} and l.due_time < $1 order by l.owner, l.due_time limit $2 * 10) as l
          where l.kind not in ('CATCHUP', 'BACKFILL') and l.attempt_base = 0 limit $2`;

/**
 * Counts the live triggers that were due before $1 and that nobody attempts now, without catch-ups, backfills and replays:
 * these give way to others, so they may be late. Of each dispatcher, and of what none owns, the $2 that were due first are
 * looked at: the index live_triggers_due begins with the owner. At most ten times $2 are read to find them.
 */
export const backlogCount = statement<BacklogRow>(
  "backlogCount",
  `with owners as (
     select null::text collate "C" as owner union all select i.id from dispatcher.instances i
   ), late as (
     select l.due_time, t.waiting_for
       from owners o
      cross join lateral (
        (${lateOf("o.owner is null and l.owner is null")})
        union all
        (${lateOf("l.owner = o.owner")})
      ) as l
            ${rowOfLive("t.waiting_for", WAITS, "offset 0")}
   )
   select parts.part, count(late.due_time)::int as count, min(late.due_time) as oldest_time
     from (values ('ours'), ('theirs')) as parts (part)
     left join late on (late.waiting_for is null) = (parts.part = 'ours')
    group by parts.part`,
);
