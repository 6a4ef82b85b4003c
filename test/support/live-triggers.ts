import type pg from "pg";

/**
 * SQL that makes dispatcher.live_triggers agree with dispatcher.triggers, after a test has written to the latter. It leaves
 * out rows that another transaction has locked.
 */
export const SYNC_LIVE_TRIGGERS = `
  with unfinished as materialized (
    select id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time
      from dispatcher.triggers where end_time is null for no key update skip locked
  ), gone as (
    delete from dispatcher.live_triggers l
     where not exists (select from dispatcher.triggers t where t.id = l.id and t.end_time is null)
  )
  insert into dispatcher.live_triggers as l (id, fire_time, project_id, job_uid, kind, attempt_base, owner, due_time)
  select * from unfinished
  on conflict (id) do update
     set fire_time = excluded.fire_time, project_id = excluded.project_id, job_uid = excluded.job_uid,
         kind = excluded.kind, attempt_base = excluded.attempt_base, owner = excluded.owner,
         due_time = excluded.due_time
   where (l.fire_time, l.project_id, l.job_uid, l.kind, l.attempt_base, l.due_time)
         <> (excluded.fire_time, excluded.project_id, excluded.job_uid, excluded.kind, excluded.attempt_base,
             excluded.due_time)
      or l.owner is distinct from excluded.owner`;

/** SQL that returns the ids of the triggers about which dispatcher.live_triggers and dispatcher.triggers differ. */
export const DIFFERENT_LIVE_TRIGGERS = `
  select coalesce(t.id, l.id) as id
    from (select * from dispatcher.triggers where end_time is null) t
    full join dispatcher.live_triggers l on l.id = t.id
   where l.id is null or t.id is null or l.owner is distinct from t.owner
      or (l.fire_time, l.project_id, l.job_uid, l.kind, l.attempt_base, l.due_time)
         <> (t.fire_time, t.project_id, t.job_uid, t.kind, t.attempt_base, t.due_time)`;

/** SQL that returns the ids of the triggers with a value that the product does not know. PostgreSQL does not check them. */
const UNKNOWN_VALUES = `
  select id from dispatcher.triggers
   where state not in ('PENDING', 'RUNNING', 'RETRYING', 'ACCEPTED', 'SUCCEEDED', 'EXHAUSTED', 'CANCELLED')
      or kind not in ('SCHEDULED', 'CATCHUP', 'MANUAL', 'BACKFILL')
      or waiting_for not in ('FLOW', 'BREAKER', 'RETRY_AFTER')
      or acknowledgement not in ('SUCCEEDED', 'FAILED', 'EXTENDED')`;

/**
 * Throws an Error if dispatcher.live_triggers does not have exactly the triggers that have not ended, or if a trigger has a
 * state, a kind or another such value that the product does not know.
 */
export async function expectAgreement(client: Pick<pg.ClientBase, "query">): Promise<void> {
  const problems = [
    [DIFFERENT_LIVE_TRIGGERS, "dispatcher.live_triggers is wrong about"],
    [UNKNOWN_VALUES, "dispatcher.triggers has unknown values of"],
  ] as const;
  for (const [text, problem] of problems) {
    const { rows } = await client.query<{ id: string }>(text);
    const ids = rows.slice(0, 10).map(({ id }) => id);
    if (ids.length > 0) throw new Error(`${problem} ${ids.join(", ")}.`);
  }
}

/** Whether a statement writes to dispatcher.triggers itself, so that SYNC_LIVE_TRIGGERS has to follow it. */
export function writesTriggers(text: string): boolean {
  return /\b(insert into|update|delete from|truncate) dispatcher\.triggers\b/.test(text);
}
