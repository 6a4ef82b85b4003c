/** The statements of one table. In each, $1 is the id, and `now` is null except in tests: PostgreSQL's clock decides. */
export interface PostgresStatements {
  /** Creates the table, if it does not exist. */
  readonly create: string;
  /** $2 lease (ms), $3 keep (ms), $4 now. No row: somebody holds it, or it is completed. Never waits for a transaction. */
  readonly claim: string;
  /** $2 token, $3 lease (ms), $4 now. */
  readonly renew: string;
  /** $2 now. */
  readonly look: string;
  /** $2 token, $3 result, $4 now. */
  readonly complete: string;
  /** $2 token, $3 now. */
  readonly release: string;
  /** $1 keep (ms), $2 now. At most 1,000 rows; a text is kept for 400 days. */
  readonly removeOld: string;
  readonly read: string;
  /** $2 the text, $3 now. */
  readonly insertText: string;
  /** $2 the text before, $3 the text after, $4 now. */
  readonly swapText: string;
}

const TABLE = /^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$/;

/** Returns the statements for a table, such as `easycron_once` or `billing.easycron_once`. Throws a RangeError. */
export function postgresStatements(table: string): PostgresStatements {
  if (!TABLE.test(table)) {
    throw new RangeError(
      `The table is ${JSON.stringify(table)}; it must be a name of a-z, 0-9 and _, with or without a schema.`,
    );
  }
  return {
    create: `
create table if not exists ${table} (
  id text primary key,
  token bigint not null,
  lease_until timestamptz not null,
  result text,
  update_time timestamptz not null
);
create index if not exists ${table.split(".").at(-1)}_update_time on ${table} (update_time);`,
    // The advisory lock is held by a transaction that has claimed the id and is not yet committed.
    claim: `
with instant as (select coalesce($4::timestamptz, clock_timestamp()) as now),
guard as (select pg_try_advisory_xact_lock(hashtextextended('easycron.once.' || $1, 0)) as free)
insert into ${table} as held (id, token, lease_until, update_time)
select $1, floor(extract(epoch from now) * 1000000)::bigint, now + $2::float8 * interval '1 ms', now
from instant, guard where free
on conflict (id) do update
set token = greatest(held.token + 1, excluded.token), lease_until = excluded.lease_until, result = null,
  update_time = excluded.update_time
where (held.result is null and held.lease_until <= excluded.update_time)
  or (held.result is not null and held.update_time <= excluded.update_time - $3::float8 * interval '1 ms')
returning token::float8`,
    renew: `
update ${table}
set update_time = coalesce($4::timestamptz, clock_timestamp()),
  lease_until = coalesce($4::timestamptz, clock_timestamp()) + $3::float8 * interval '1 ms'
where id = $1 and token = $2 and result is null
returning token::float8`,
    look: `
select result,
  extract(epoch from lease_until - coalesce($2::timestamptz, clock_timestamp()))::float8 * 1000 as left_ms
from ${table} where id = $1`,
    complete: `
update ${table}
set result = coalesce(result, $3), update_time = coalesce($4::timestamptz, clock_timestamp())
where id = $1 and token = $2
returning 1`,
    release: `
update ${table}
set token = token + 1, lease_until = 'epoch', update_time = coalesce($3::timestamptz, clock_timestamp())
where id = $1 and token = $2 and result is null`,
    removeOld: `
delete from ${table} where id in (
  select id from ${table}
  where update_time < coalesce($2::timestamptz, clock_timestamp()) - $1::float8 * interval '1 ms'
    and lease_until < coalesce($2::timestamptz, clock_timestamp())
    and (id not like 'text:%' or update_time < coalesce($2::timestamptz, clock_timestamp()) - interval '400 days')
  order by update_time limit 1000
  for update skip locked)`,
    read: `select result from ${table} where id = $1`,
    insertText: `
insert into ${table} (id, token, lease_until, result, update_time)
values ($1, 0, 'epoch', $2, coalesce($3::timestamptz, clock_timestamp()))
on conflict (id) do nothing
returning 1`,
    swapText: `
update ${table} set result = $3, update_time = coalesce($4::timestamptz, clock_timestamp())
where id = $1 and result = $2
returning 1`,
  };
}
