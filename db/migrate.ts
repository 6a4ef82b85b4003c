import pg from "pg";
import {
  type AppliedMigration,
  describeDifference,
  type Migration,
  readMigrations,
} from "./migration-files.ts";

/** A service that has its own role in PostgreSQL, `easycron_<name>`. */
export type DatabaseRole = "gateway" | "scheduler" | "dispatcher";

/** A newer version, or a version with other migration files, made the database. Nothing was changed. */
export class SchemaMismatchError extends Error {
  override readonly name = "SchemaMismatchError";
}

/** Options of `migrate`. */
export interface MigrateOptions {
  /** The password that each service's role gets. A role that is made without a password cannot log in. */
  readonly rolePasswords?: Readonly<Record<DatabaseRole, string>>;
}

/** What `migrate` did. */
export interface MigrateResult {
  /** How many migrations it applied. */
  readonly applied: number;
  /** The name of the last migration of the database. */
  readonly last: string;
}

// The key of the advisory lock. Any number will do, but it must be the same in every version.
const LOCK = 7_302_146;

/**
 * Migrates a database to this version. It creates the services' roles, then applies each missing migration file in
 * its own transaction. The connection string is an administrator's. Concurrent callers wait for each other.
 *
 * Throws SchemaMismatchError, and changes nothing, when the database has a migration that this version does not have,
 * or one whose text differs from this version's file.
 */
export async function migrate(
  connectionString: string,
  options: MigrateOptions = {},
): Promise<MigrateResult> {
  const migrations = await readMigrations();
  const client = new pg.Client({ connectionString, application_name: "easycron-migrate" });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [LOCK]);
    const applied = await readApplied(client);
    const difference = describeDifference(applied, migrations);
    if (difference !== undefined) throw new SchemaMismatchError(difference);
    await ensureRoles(client, options.rolePasswords);
    const missing = migrations.slice(applied.length);
    for (const migration of missing) await apply(client, migration);
    return { applied: missing.length, last: migrations.at(-1)?.name ?? "" };
  } finally {
    await client.end();
  }
}

async function readApplied(client: pg.Client): Promise<AppliedMigration[]> {
  const table = await client.query<{ present: boolean }>(
    "select to_regclass('public.easycron_migrations') is not null as present",
  );
  if (!table.rows[0]?.present) return [];
  const rows = await client.query<AppliedMigration>(
    "select number, name, checksum from public.easycron_migrations order by number",
  );
  return rows.rows;
}

async function ensureRoles(client: pg.Client, passwords: MigrateOptions["rolePasswords"]): Promise<void> {
  for (const name of ["gateway", "scheduler", "dispatcher"] as const) {
    const role = `easycron_${name}`;
    const found = await client.query("select from pg_roles where rolname = $1", [role]);
    const verb = found.rowCount === 0 ? "create" : "alter";
    if (passwords === undefined && verb === "alter") continue;
    const made = await client.query<{ text: string }>(
      "select format('%s role %I' || case when $3::text is null then '' else format(' login password %L', $3) end, " +
        "$1::text, $2::text) as text",
      [verb, role, passwords?.[name] ?? null],
    );
    await client.query(made.rows[0]?.text ?? "");
  }
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("begin");
  try {
    await client.query(
      "create table if not exists public.easycron_migrations (number integer primary key, name text not null, " +
        "checksum text not null, applied_time timestamptz not null default now())",
    );
    await client.query(migration.text);
    await client.query(
      "insert into public.easycron_migrations (number, name, checksum) values ($1, $2, $3)",
      [migration.number, migration.name, migration.checksum],
    );
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}
