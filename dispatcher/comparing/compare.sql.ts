import { statement } from "../../db/statement.ts";

/** What one step of a comparison has found. */
export interface ComparedRow {
  /** The ids of triggers about which the two tables differ. */
  readonly different: readonly string[];
  /** Where the next step begins; null at the end. */
  readonly next: string | null;
}

/**
 * Compares the $2 rows of dispatcher.live_triggers whose ids follow $1 with their rows of dispatcher.triggers. Returns at
 * most $3 ids of triggers that have ended, that do not exist, or that have other values. The next step follows the last id.
 */
export const liveCompare = statement<ComparedRow>(
  "liveCompare",
  `with page as materialized (
     select * from dispatcher.live_triggers l where l.id > $1 order by l.id limit $2
   )
   select array(
            select l.id from page l
              left join lateral (
                select t.id from dispatcher.triggers t
                 where t.id = l.id and t.fire_time = l.fire_time and t.end_time is null
                   and t.owner is not distinct from l.owner
                   and (t.project_id, t.job_uid, t.kind, t.attempt_base, t.due_time)
                       = (l.project_id, l.job_uid, l.kind, l.attempt_base, l.due_time)
                offset 0) as t on true
             where t.id is null limit $3) as different,
          (select max(id) from page) as next`,
);

/**
 * Reads the $2 blocks that begin with block $1 of each partition of dispatcher.triggers. Returns at most $3 ids of triggers
 * that have not ended and have no row in dispatcher.live_triggers. No index has the triggers that have not ended, so they
 * are looked for where they lie. The next step begins with the next block.
 */
export const liveListMissing = statement<ComparedRow>(
  "liveListMissing",
  `select array(
            select t.id
              from (select t.id from dispatcher.triggers t
                     where t.ctid >= ('(' || $1::bigint || ',0)')::tid
                       and t.ctid < ('(' || $1::bigint + $2::integer || ',0)')::tid and t.end_time is null offset 0) as t
              left join lateral (
                select l.id from dispatcher.live_triggers l where l.id = t.id offset 0) as l on true
             where l.id is null limit $3) as different,
          (select ($1::bigint + $2::integer)::text from pg_inherits i
            where i.inhparent = 'dispatcher.triggers'::regclass
              and pg_relation_size(i.inhrelid) > ($1::bigint + $2::integer) * current_setting('block_size')::integer
            limit 1) as next`,
);

/** Locks those of the triggers $1 that have not ended, without waiting. */
export const liveLockTriggers = statement<{ id: string }>(
  "liveLockTriggers",
  `select t.id from dispatcher.triggers t where t.id = any ($1::text[]) and t.end_time is null
      for no key update skip locked`,
);

/** Locks the rows of the triggers $1 in dispatcher.live_triggers, without waiting. */
export const liveLock = statement<{ id: string }>(
  "liveLock",
  "select l.id from dispatcher.live_triggers l where l.id = any ($1::text[]) for update skip locked",
);

/**
 * Makes dispatcher.live_triggers agree with dispatcher.triggers: writes the rows of the triggers $1 that have not ended,
 * and removes those of the rows $2 whose triggers have ended or do not exist. Both must be locked before, by statements
 * of the same transaction. Returns what was changed.
 */
export const liveRepair = statement<{ id: string }>(
  "liveRepair",
  `with gone as (
     delete from dispatcher.live_triggers l
      where l.id = any ($2::text[])
        and not exists (select from dispatcher.triggers t where t.id = l.id and t.end_time is null)
     returning l.id
   ), written as (
     insert into dispatcher.live_triggers as l (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
     select t.id, t.fire_time, t.project_id, t.job_uid, t.kind, t.attempt_base, t.owner, t.due_time
       from dispatcher.triggers t where t.id = any ($1::text[]) and t.end_time is null
     on conflict (id) do update
        set fire_time = excluded.fire_time, project_id = excluded.project_id, job_uid = excluded.job_uid,
            kind = excluded.kind, attempt_base = excluded.attempt_base, owner = excluded.owner,
            due_time = excluded.due_time
      where (l.fire_time, l.project_id, l.job_uid, l.kind, l.attempt_base, l.owner, l.due_time) is distinct from
            (excluded.fire_time, excluded.project_id, excluded.job_uid, excluded.kind, excluded.attempt_base,
             excluded.owner, excluded.due_time)
     returning l.id
   )
   select id from gone union all select id from written`,
);
