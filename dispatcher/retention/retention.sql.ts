import { statement } from "../../db/statement.ts";

/** For how many days the triggers of a project are kept, and its floor in epoch milliseconds; null for -infinity. */
export interface RetentionRow {
  readonly days: number;
  readonly floor_time: number | null;
}

const SHOWN = "days, nullif(floor_time, '-infinity') as floor_time";

/** Reads the retention of the project $1. No row if it has never been set and nothing was ever removed. */
export const retentionRead = statement<RetentionRow>(
  "retentionRead",
  `select ${SHOWN} from dispatcher.retention where project_id = $1`,
);

/** Sets the days $2 of the project $1. The floor stays where it is. */
export const retentionSetDays = statement<RetentionRow>(
  "retentionSetDays",
  `insert into dispatcher.retention (project_id, days) values ($1, $2)
   on conflict (project_id) do update set days = excluded.days
   returning ${SHOWN}`,
);

/** Lists projects that have triggers and whose ids are greater than $1, in order, at most $2. Skips from one to the next. */
export const retentionProjects = statement<{ project_id: string }>(
  "retentionProjects",
  `with recursive project (id) as (
     (select t.project_id from dispatcher.triggers t where t.project_id > $1 order by t.project_id limit 1)
     union all
     select (select t.project_id from dispatcher.triggers t where t.project_id > p.id order by t.project_id limit 1)
       from project p where p.id is not null
   )
   select id as project_id from project where id is not null limit $2`,
);

/**
 * Moves the floors of the projects $1 to what their days give at $2, in whole hours. A floor stays before the first fire time
 * that is undecided, and moves only if the project has triggers before the new one. $3 is for how long a floor is not known
 * to everybody, in milliseconds. Returns the projects whose floors moved.
 */
export const retentionAdvance = statement<{ project_id: string }>(
  "retentionAdvance",
  `with wanted as (
     select w.project_id, coalesce(r.floor_time, '-infinity') as floor_time,
            date_trunc('hour', $2::timestamptz - make_interval(hours => 24 * coalesce(r.days, 30)), 'UTC') as wanted_time
       from unnest($1::text[]) as w (project_id)
       left join dispatcher.retention r on r.project_id = w.project_id
   ), due as materialized (
     select w.project_id, w.floor_time, w.wanted_time from wanted w
      where w.wanted_time > w.floor_time
        and exists (select from dispatcher.triggers t where t.project_id = w.project_id and t.fire_time < w.wanted_time)
   ), moved as materialized (
     select d.project_id, d.floor_time, least(d.wanted_time, scheduler.first_undecided(d.project_id)) as new_time from due d
   )
   insert into dispatcher.retention as r (project_id, floor_time, set_time)
   select m.project_id, m.new_time, clock_timestamp() from moved m where m.new_time > m.floor_time order by m.project_id
   on conflict (project_id) do update
      set known_floor_time = dispatcher.known_floor(r.set_time, r.floor_time, r.known_floor_time, $3),
          floor_time = excluded.floor_time, set_time = excluded.set_time
    where r.floor_time < excluded.floor_time
   returning r.project_id`,
);

/** A project before whose floor triggers may be removed. The floor is in epoch milliseconds. */
export interface RemovableRow {
  readonly project_id: string;
  readonly days: number;
  readonly floor_time: number;
}

/** Lists projects with a floor that everybody knows after $3 ms, and whose ids are greater than $1, in order, at most $2. */
export const retentionRemovable = statement<RemovableRow>(
  "retentionRemovable",
  `select r.project_id, r.days, f.floor_time
     from dispatcher.retention r
    cross join lateral (select dispatcher.known_floor(r.set_time, r.floor_time, r.known_floor_time, $3) as floor_time) as f
    where r.project_id > $1 and f.floor_time > '-infinity'
    order by r.project_id limit $2`,
);

/** One page that `retentionRemove` has looked at. */
export interface RemovedRow {
  /** How many triggers it looked at. */
  readonly seen: number;
  readonly removed: number;
  /** The last of them: fire time in epoch milliseconds, and id. Null if there was none. */
  readonly last_time: number | null;
  readonly last_id: string | null;
}

/**
 * Looks at the next $5 triggers of the project $1 before its floor $2, after fire time $3 and id $4, and removes those that
 * are expired, with their attempts, by the days $6 at the time $7. Leaves out rows that another transaction has locked.
 */
export const retentionRemove = statement<RemovedRow>(
  "retentionRemove",
  `with page as materialized (
     select t.id, t.fire_time from dispatcher.triggers t
      where t.project_id = $1 and t.fire_time < $2::timestamptz and t.fire_time >= $3::timestamptz
        and (t.fire_time, t.id) > ($3::timestamptz, $4::text)
      order by t.fire_time, t.id limit $5
   ), expired as materialized (
     select e.id, e.fire_time from page
      cross join lateral (
        select t.id, t.fire_time from dispatcher.triggers t
         where t.id = page.id and t.fire_time = page.fire_time
           and dispatcher.is_expired(t.state, t.fire_time, t.end_time, $6, $2, $7::timestamptz)
           for update skip locked) as e
   ), gone as (
     delete from dispatcher.triggers t
      where t.id = any (array(select id from expired))
        and t.fire_time >= (select min(fire_time) from expired) and t.fire_time <= (select max(fire_time) from expired)
     returning t.id
   ), gone_attempts as (
     delete from dispatcher.attempts a
      where a.trigger_id = any (array(select id from expired))
        and a.fire_time >= (select min(fire_time) from expired) and a.fire_time <= (select max(fire_time) from expired)
   )
   select (select count(*)::integer from page) as seen, (select count(*)::integer from gone) as removed,
          l.fire_time as last_time, l.id as last_id
     from (select) as one
     left join (select fire_time, id from page order by fire_time desc, id desc limit 1) as l on true`,
);

/** Lists the months before the month of $1 that have a partition of triggers, earliest first. */
export const partitionListOld = statement<{ month_start: number; name: string }>(
  "partitionListOld",
  `select m.month_start, m.name
     from (select c.relname as name,
                  to_timestamp(substring(c.relname from '^triggers_(\\d{4}_\\d\\d)$') || '+00', 'YYYY_MMTZH') as month_start
             from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'dispatcher.triggers'::regclass and c.relname ~ '^triggers_\\d{4}_\\d\\d$') as m
    where m.month_start < date_trunc('month', $1::timestamptz, 'UTC')
    order by m.month_start`,
);

/** Drops the partitions of the month that begins at $1 if nothing of it is kept at $2. Returns DROPPED, KEPT, MISSING or BUSY. */
export const partitionDrop = statement<{ outcome: "DROPPED" | "KEPT" | "MISSING" | "BUSY" }>(
  "partitionDrop",
  `select dispatcher.drop_partition($1, $2, $3) as outcome`,
);

/** Limits every later statement of the transaction to $1 milliseconds. */
export const partitionDropLimit = statement<{ limit: string }>(
  "partitionDropLimit",
  `select set_config('statement_timeout', $1, true) as limit`,
);
