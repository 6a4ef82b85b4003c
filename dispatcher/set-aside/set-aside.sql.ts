import { statement } from "../../db/statement.ts";

/**
 * Records at $6 that the items $2 of kind $1 have failed; they belong to the projects $3 and the jobs $4, and $5 has
 * their problems. The pause before the next try is a minute after the first failure, and doubles up to an hour. Returns
 * the time of the next try by id.
 */
export const setAsideRecord = statement<{ id: string; retry_time: number }>(
  "setAsideRecord",
  `insert into dispatcher.set_aside as s (kind, id, project_id, job_uid, problem, first_time, last_time, retry_time)
   select $1::text, g.id, g.project_id, g.job_uid, g.problem, $6::timestamptz, $6, $6::timestamptz + interval '1 minute'
     from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as g (id, project_id, job_uid, problem)
   on conflict (kind, id) do update
      set failures = s.failures + 1, problem = excluded.problem, last_time = excluded.last_time,
          retry_time = $6::timestamptz + least(interval '1 hour', interval '1 minute' * 2 ^ least(s.failures, 6))
   returning id, retry_time`,
);

/** Removes the items $2 of kind $1: they could be handled. */
export const setAsideDelete = statement<{ id: string }>(
  "setAsideDelete",
  "delete from dispatcher.set_aside where kind = $1 and id = any ($2::text[]) returning id",
);

/**
 * Removes the items that should have been tried again before $1 and were not: they are no longer wanted, or another
 * process could handle them.
 */
export const setAsideDeleteBefore = statement<{ kind: string; id: string }>(
  "setAsideDeleteBefore",
  "delete from dispatcher.set_aside where retry_time < $1 returning kind, id",
);
