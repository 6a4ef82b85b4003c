import { statement } from "../../db/statement.ts";

/**
 * Reserves catch-up time: $3 milliseconds for each project $1, from $2 on or after what is reserved already. Returns
 * where the reserved time of each project ends.
 */
export const catchupReserve = statement<{ project_id: string; next_time: number }>(
  "catchupReserve",
  `insert into scheduler.catchup_slots as s (project_id, next_time)
   select wanted.project_id, $2::timestamptz + wanted.ms * interval '1 millisecond'
     from unnest($1::text[], $3::double precision[]) as wanted (project_id, ms) order by wanted.project_id
   on conflict (project_id) do update
      set next_time = greatest(s.next_time, $2) + (excluded.next_time - $2)
   returning project_id, next_time`,
);

/**
 * Frees the reserved catch-up time of project $1 that lies after its last unfinished catch-up trigger, or after $2 if
 * it has none.
 */
export const catchupRelease = statement<{ project_id: string }>(
  "catchupRelease",
  `update scheduler.catchup_slots set next_time = least(next_time, greatest($2, dispatcher.catchup_end($1)))
    where project_id = $1 returning project_id`,
);
