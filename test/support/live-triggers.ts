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
     set fire_time = excluded.fire_time, attempt_base = excluded.attempt_base, owner = excluded.owner,
         due_time = excluded.due_time
   where (l.fire_time, l.attempt_base, l.due_time) <> (excluded.fire_time, excluded.attempt_base, excluded.due_time)
      or l.owner is distinct from excluded.owner`;

/** SQL that returns the ids of the triggers about which dispatcher.live_triggers and dispatcher.triggers differ. */
export const DIFFERENT_LIVE_TRIGGERS = `
  select coalesce(t.id, l.id) as id
    from (select * from dispatcher.triggers where end_time is null) t
    full join dispatcher.live_triggers l on l.id = t.id
   where l.id is null or t.id is null or l.owner is distinct from t.owner
      or (l.fire_time, l.project_id, l.job_uid, l.kind, l.attempt_base, l.due_time)
         <> (t.fire_time, t.project_id, t.job_uid, t.kind, t.attempt_base, t.due_time)`;

/** A connection to the database. */
interface Connection {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly { readonly id?: unknown }[] }>;
}

/** Throws when dispatcher.live_triggers and dispatcher.triggers differ, and names the first ten triggers. */
export async function checkLiveTriggers(connection: Connection): Promise<void> {
  const { rows } = await connection.query(DIFFERENT_LIVE_TRIGGERS);
  if (rows.length > 0)
    throw new Error(
      `dispatcher.live_triggers is wrong about ${rows
        .slice(0, 10)
        .map(({ id }) => id)
        .join(", ")}.`,
    );
}

/**
 * Makes a write of a test to dispatcher.triggers, and then SYNC_LIVE_TRIGGERS. It first calls `checkLiveTriggers`, because
 * the latter would repair what the product had left wrong before, and the test would not find it.
 */
export async function writeAndSync<T>(connection: Connection, write: () => Promise<T>): Promise<T> {
  await checkLiveTriggers(connection);
  const result = await write();
  await connection.query(SYNC_LIVE_TRIGGERS);
  return result;
}

/** Whether a statement writes to dispatcher.triggers itself, so that SYNC_LIVE_TRIGGERS has to follow it. */
export function writesTriggers(text: string): boolean {
  return /\b(insert into|update|delete from|truncate) dispatcher\.triggers\b/.test(text);
}
