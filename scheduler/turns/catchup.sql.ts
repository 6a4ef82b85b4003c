import { statement } from "../../db/statement.ts";

// Before a transaction writes the slot of a project, it takes an advisory lock, which it keeps to its end. A tick only
// tries to take it: the row itself is locked just as long, but PostgreSQL cannot leave a locked row out of an upsert.
const LOCK = "hashtextextended('scheduler.catchup_slots ' || wanted.project_id, 0)";

/** What `catchupReserve` and `catchupTryReserve` return: where the reserved time of a project ends, in epoch milliseconds. */
interface ReservedRow {
  readonly project_id: string;
  readonly next_time: number;
}

const reserve = (isLocked: string) => `
   with locked as materialized (
     select wanted.project_id, wanted.ms from unnest($1::text[], $3::double precision[]) as wanted (project_id, ms)
      where ${isLocked}
   )
   insert into scheduler.catchup_slots as s (project_id, next_time)
   select l.project_id, $2::timestamptz + l.ms * interval '1 millisecond' from locked l order by l.project_id
   on conflict (project_id) do update
      set next_time = greatest(s.next_time, $2) + (excluded.next_time - $2)
   returning project_id, next_time`;

/**
 * Reserves catch-up time: $3 milliseconds for each project $1, from $2 on or after what is reserved already. Returns
 * where the reserved time of each project ends.
 */
export const catchupReserve = statement<ReservedRow>(
  "catchupReserve",
  reserve(`pg_advisory_xact_lock(${LOCK}) is not null`),
);

/** Does the same, and leaves out projects for which another transaction has reserved time and has not ended. */
export const catchupTryReserve = statement<ReservedRow>(
  "catchupTryReserve",
  reserve(`pg_try_advisory_xact_lock(${LOCK})`),
);

/**
 * Frees the reserved catch-up time of project $1 that lies after its last unfinished catch-up trigger, or after $2 if
 * it has none.
 */
export const catchupRelease = statement<{ project_id: string }>(
  "catchupRelease",
  `with locked as materialized (
     select wanted.project_id from (select $1::text) as wanted (project_id)
      where pg_advisory_xact_lock(${LOCK}) is not null
   )
   update scheduler.catchup_slots
      set next_time = least(next_time, greatest($2, dispatcher.catchup_end($1)))
    where project_id = (select l.project_id from locked l) returning project_id`,
);
