import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";

/** The services that have a role of their own, easycron_<name>. */
export type DatabaseRole = "gateway" | "scheduler" | "dispatcher";

/** The database was made by a newer version, or by other migration files; nothing was changed. */
export class SchemaMismatchError extends Error {
  override readonly name = "SchemaMismatchError";
}

/** What `migrate` needs besides an administrator's connection. */
export interface MigrateOptions {
  /** Password to give each role. */
  readonly rolePasswords: Readonly<Record<DatabaseRole, string>>;
}

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly checksum: string;
}

const FOLDER = fileURLToPath(new URL("./migrations/", import.meta.url));
// Any constant will do; it must only be the same in every version.
const LOCK = 7_302_146;

/**
 * Brings a database up to this version: makes the roles, then applies the numbered files that are missing, each in a
 * transaction of its own. Several callers at once take turns. Throws SchemaMismatchError, having changed nothing,
 * when the database knows a migration that this version does not, or one whose text has changed since.
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
      if (number !== index + 1) throw new Error(`Migration ${name} should have number ${index + 1}.`);
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
        `The database has migration ${row.name}, which this version (up to ${migrations.at(-1)?.name}) does not know: ` +
          "it was used by a newer version. Start that version, or use another database.",
      );
    }
    if (known.checksum !== row.checksum) {
      throw new SchemaMismatchError(
        `Migration ${row.name} of the database differs from this version's file: ` +
          "use the version that made this database, or another database.",
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
