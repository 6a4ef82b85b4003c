import { statement } from "../../db/statement.ts";

/** What can be set aside: the turns of a job, the deletion of a finished job, a backfill, or the disabling of a job. */
export type SetAsideKind = "job" | "deletion" | "backfill" | "disabling";

/** A row of scheduler.set_aside. Times are epoch milliseconds. */
export interface SetAsideRow {
  readonly id: string;
  readonly problem: string;
  /** How often it has failed in a row. */
  readonly failures: number;
  readonly last_time: number;
  readonly retry_time: number;
}

/**
 * Sets things of the kind $1 aside at the time $2: id, project, problem, error. Each is to be tried again after a
 * minute, and after twice that time for each further failure, at most an hour.
 */
export const setAsideAdd = statement<SetAsideRow>(
  "setAsideAdd",
  `insert into scheduler.set_aside as s (kind, id, project_id, problem, error, failures, first_time, last_time, retry_time)
   select $1, failed.id, failed.project_id, failed.problem, failed.error, 1, $2, $2,
          $2::timestamptz + interval '1 minute'
     from unnest($3::text[], $4::text[], $5::text[], $6::text[]) as failed (id, project_id, problem, error)
    order by failed.id
   on conflict (kind, id) do update
      set problem = excluded.problem, error = excluded.error, failures = s.failures + 1,
          last_time = excluded.last_time,
          retry_time = excluded.last_time
                       + least(interval '1 hour', interval '1 minute' * power(2, least(s.failures, 6)))
   returning id, problem, failures, last_time, retry_time`,
);

/** Removes the things $2 of the kind $1, because they work again. */
export const setAsideRemove = statement<{ id: string }>(
  "setAsideRemove",
  `delete from scheduler.set_aside where kind = $1 and id = any ($2::text[]) returning id`,
);

/** Returns which of the things $2 of the kind $1 are set aside. */
export const setAsideOf = statement<SetAsideRow>(
  "setAsideOf",
  `select id, problem, failures, last_time, retry_time from scheduler.set_aside
    where kind = $1 and id = any ($2::text[])`,
);

/**
 * Removes that for which nothing is left to do at $1: jobs that no tick looks at any more, because they were paused,
 * deleted or finished, and what has not been tried since $2.
 */
export const setAsideRemoveIdle = statement<{ id: string }>(
  "setAsideRemoveIdle",
  `delete from scheduler.set_aside s
    where s.last_time < $2
       or (s.kind = 'job' and s.retry_time <= $1
           and not exists (select from scheduler.jobs j where j.uid = s.id and j.wake_time <= $1))
   returning s.id`,
);
