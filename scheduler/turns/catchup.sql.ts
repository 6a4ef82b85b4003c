import { statement } from "../../db/statement.ts";

/** Reserves $3 milliseconds of each project's catch-up time from $2 on; tells where they end. */
export const catchupReserve = statement<{ project_id: string; next_time: number }>(
  "catchupReserve",
  `insert into scheduler.catchup_slots as s (project_id, next_time)
   select wanted.project_id, $2::timestamptz + wanted.ms * interval '1 millisecond'
     from unnest($1::text[], $3::double precision[]) as wanted (project_id, ms) order by wanted.project_id
   on conflict (project_id) do update
      set next_time = greatest(s.next_time, $2) + (excluded.next_time - $2)
   returning project_id, next_time`,
);

/** Gives back the project's catch-up time after the last trigger that is still made up for, or after $2 if none is. */
export const catchupRelease = statement<{ project_id: string }>(
  "catchupRelease",
  `update scheduler.catchup_slots set next_time = least(next_time, greatest($2, dispatcher.catchup_end($1)))
    where project_id = $1 returning project_id`,
);
