import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";

/** A service that has its own role in PostgreSQL, `easycron_<name>`. */
export type DatabaseRole = "gateway" | "scheduler" | "dispatcher";

/** A newer version, or a version with other migration files, made the database. Nothing was changed. */
export class SchemaMismatchError extends Error {
  override readonly name = "SchemaMismatchError";
}

/** Options of `migrate`. */
export interface MigrateOptions {
  /** The password that each service's role gets. */
  readonly rolePasswords: Readonly<Record<DatabaseRole, string>>;
}

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

const FOLDER = fileURLToPath(new URL("./migrations/", import.meta.url));
// The key of the advisory lock. Any number will do, but it must be the same in every version.
const LOCK = 7_302_146;

/**
 * Migrates a database to this version. It creates the services' roles, then applies each missing migration file in
 * its own transaction. The connection string is an administrator's. Concurrent callers wait for each other.
 *
 * Throws SchemaMismatchError, and changes nothing, when the database has a migration that this version does not have,
 * or one whose text differs from this version's file.
 */
export async function migrate(connectionString: string, options: MigrateOptions): Promise<void> {
  const migrations = await readMigrations();
  const client = new pg.Client({ connectionString, application_name: "easycron-migrate" });
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [LOCK]);
    const applied = await readApplied(client);
    checkApplied(applied, migrations);
    await ensureRoles(client, options.rolePasswords);
    for (const migration of migrations.slice(applied.length)) await apply(client, migration);
  } finally {
    await client.end();
  }
}

async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name, index) => {
      const number = Number(name.slice(0, 4));
      if (number !== index + 1) throw new Error(`Migration ${name} must have the number ${index + 1}.`);
      const text = await readFile(FOLDER + name, "utf8");
      return { number, name, text, checksum: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
}

async function readApplied(client: pg.Client): Promise<Applied[]> {
  const table = await client.query<{ present: boolean }>(
    "select to_regclass('public.easycron_migrations') is not null as present",
  );
  if (!table.rows[0]?.present) return [];
  const rows = await client.query<Applied>(
    "select number, name, checksum from public.easycron_migrations order by number",
  );
  return rows.rows;
}

function checkApplied(applied: readonly Applied[], migrations: readonly Migration[]): void {
  for (const [index, row] of applied.entries()) {
    const known = migrations[index];
    if (known === undefined || known.number !== row.number) {
      throw new SchemaMismatchError(
        `The database has migration ${row.name}, and this version ends with ${migrations.at(-1)?.name}: ` +
          "a newer version has used the database. Start that version, or use another database.",
      );
    }
    if (known.checksum !== row.checksum) {
      throw new SchemaMismatchError(
        `Migration ${row.name} of the database differs from this version's file of that name. ` +
          "Start the version that made this database, or use another database.",
      );
    }
  }
}

async function ensureRoles(
  client: pg.Client,
  passwords: Readonly<Record<DatabaseRole, string>>,
): Promise<void> {
  for (const [name, password] of Object.entries(passwords)) {
    const role = `easycron_${name}`;
    const found = await client.query("select from pg_roles where rolname = $1", [role]);
    const verb = found.rowCount === 0 ? "create" : "alter";
    const made = await client.query<{ text: string }>(
      "select format('%s role %I login password %L', $1::text, $2::text, $3::text) as text",
      [verb, role, password],
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
