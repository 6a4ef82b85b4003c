import type { Queryable } from "../../db/pool.ts";
import { statement } from "../../db/statement.ts";
import { toSqlTime } from "../../db/time.ts";
import { type SkipRange, type SkipReason, type SkipVerdict, verdictOf } from "./verdict.ts";

/** A range of fire times without a trigger. Times are epoch milliseconds. */
export interface SkipRow {
  readonly first_fire_time: number;
  readonly last_fire_time: number;
  readonly verdict: SkipVerdict;
  readonly reason: SkipReason;
  readonly fire_count: number;
  readonly detail: string;
}

/** Adds ranges. A range that begins where a stored range begins extends the stored one. */
const skipAdd = statement<{ job_uid: string }>(
  "skipAdd",
  `insert into scheduler.skips as s (job_uid, first_fire_time, last_fire_time, verdict, reason, fire_count, detail)
   select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::integer[],
                        $7::text[])
   on conflict (job_uid, first_fire_time) do update
      set last_fire_time = excluded.last_fire_time, fire_count = s.fire_count + excluded.fire_count
   returning job_uid`,
);

/** Returns the ranges of job $1 that reach into the time from $2 to $3, both inclusive. Ranges do not overlap. */
export const skipsBetween = statement<SkipRow>(
  "skipsBetween",
  `select first_fire_time, last_fire_time, verdict, reason, fire_count, detail
     from scheduler.skips
    where job_uid = $1 and first_fire_time <= $3 and last_fire_time >= $2
      and first_fire_time >= coalesce(
        (select max(b.first_fire_time) from scheduler.skips b where b.job_uid = $1 and b.first_fire_time <= $2), $2)
    order by first_fire_time`,
);

/** Returns the last skipped or missed fire time of each of the jobs $1 that has one. Ranges do not overlap. */
export const skipsLast = statement<{ job_uid: string; last_fire_time: number }>(
  "skipsLast",
  `select wanted.uid as job_uid, last.last_fire_time
     from unnest($1::text[]) as wanted (uid)
    cross join lateral (select s.last_fire_time from scheduler.skips s where s.job_uid = wanted.uid
                         order by s.first_fire_time desc limit 1) as last`,
);

/** A range of a job to record. */
export interface JobSkip {
  readonly jobUid: string;
  readonly range: SkipRange;
}

/** Records the fire times that turns or changes have skipped, of any number of jobs, in one statement. */
export async function addSkips(tx: Queryable, skips: readonly JobSkip[]): Promise<void> {
  if (skips.length === 0) return;
  await tx.query(skipAdd, [
    skips.map(({ jobUid }) => jobUid),
    skips.map(({ range }) => toSqlTime(range.firstMs)),
    skips.map(({ range }) => toSqlTime(range.lastMs)),
    skips.map(({ range }) => verdictOf(range.reason)),
    skips.map(({ range }) => range.reason),
    skips.map(({ range }) => range.count),
    skips.map(({ range }) => range.detail),
  ]);
}
