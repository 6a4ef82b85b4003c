import pg from "pg";
import {
  type AppliedMigration,
  describeDifference,
  type Migration,
  readMigrations,
} from "./migration-files.ts";
import {
  type ByRole,
  checkLogin,
  DATABASE_ROLES,
  type DatabaseRole,
  defaultPrefix,
  ensureRoles,
  moveGrants,
  rolesOf,
} from "./roles.ts";

/** A newer version, or a version with other migration files, made the database. Nothing was changed. */
export class SchemaMismatchError extends Error {
  override readonly name = "SchemaMismatchError";
}

/** A login of the operator's own, under which a service uses the database. */
export interface Login {
  readonly connectionString: string;
  /** The variable that holds the connection string, for messages. */
  readonly variable: string;
}

/** Options of `migrate`. */
export interface MigrateOptions {
  /**
   * The roles are called `<rolePrefix>_<service>`. Default: as they are called now; in a new database as
   * `defaultPrefix` says. When it differs from the present prefix, the new roles get the grants of the old ones.
   */
  readonly rolePrefix?: string | undefined;
  /** The passwords of the roles. A role that is made without a password cannot log in. */
  readonly rolePasswords?: Partial<ByRole<string>>;
  /** When true, a role that exists gets its password anew. Default false: a role that exists is not changed. */
  readonly resetsPasswords?: boolean;
  /** Logins of the operator's own that must be members of the services' roles. */
  readonly logins?: Partial<ByRole<Login>>;
}

/** What `migrate` did. */
export interface MigrateResult {
  /** How many migrations it applied. */
  readonly applied: number;
  /** The name of the last migration of the database. */
  readonly last: string;
  /** The names of the services' roles. */
  readonly roles: ByRole<string>;
}

// The key of the advisory lock. Any number will do, but it must be the same in every version.
const LOCK = 7_302_146;
/** The prefix of the roles in databases from before the prefix was recorded. */
const FIRST_PREFIX = "easycron";

/**
 * Migrates a database to this version. It checks the services' roles and makes those that are missing, then applies each
 * missing migration file in its own transaction. The connection string is an administrator's. Concurrent callers wait
 * for each other.
 *
 * Throws SchemaMismatchError, and changes nothing, when the database has a migration that this version does not have,
 * or one whose text differs from this version's file. Throws a RoleError when the roles cannot be made or used.
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
    const present = await readPrefix(client, applied.length > 0);
    const prefix = options.rolePrefix ?? present ?? defaultPrefix(await readDatabase(client));
    const roles = rolesOf(prefix);
    const { rolePasswords: passwords = {}, resetsPasswords = false, logins = {} } = options;
    await ensureRoles(client, { connectionString, roles, passwords, resetsPasswords });
    await checkLogins(logins, roles);
    await recordPrefix(client, present, prefix);
    const missing = migrations.slice(applied.length);
    for (const migration of missing) await apply(client, migration, roles);
    return { applied: missing.length, last: migrations.at(-1)?.name ?? "", roles };
  } finally {
    await client.end();
  }
}

async function readApplied(client: pg.Client): Promise<AppliedMigration[]> {
  if (!(await hasTable(client, "public.easycron_migrations"))) return [];
  const rows = await client.query<AppliedMigration>(
    "select number, name, checksum from public.easycron_migrations order by number",
  );
  return rows.rows;
}

/** Returns the prefix of the roles that the database has grants for; undefined for a new database. */
async function readPrefix(client: pg.Client, isMigrated: boolean): Promise<string | undefined> {
  if (!(await hasTable(client, "public.easycron_installation"))) return isMigrated ? FIRST_PREFIX : undefined;
  const { rows } = await client.query<{ role_prefix: string }>(
    "select role_prefix from public.easycron_installation",
  );
  return rows[0]?.role_prefix;
}

async function readDatabase(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>("select current_database() as name");
  return rows[0]?.name ?? "";
}

async function hasTable(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ present: boolean }>("select to_regclass($1) is not null as present", [
    name,
  ]);
  return rows[0]?.present ?? false;
}

async function checkLogins(logins: Partial<ByRole<Login>>, roles: ByRole<string>): Promise<void> {
  for (const service of DATABASE_ROLES) {
    const login = logins[service];
    if (login !== undefined) await checkLogin(login.connectionString, roles[service], login.variable);
  }
}

/** Records the prefix. When there was another one, it moves the grants of the old roles to the new ones as well. */
async function recordPrefix(client: pg.Client, present: string | undefined, prefix: string): Promise<void> {
  await inTransaction(client, async () => {
    await client.query(
      "create table if not exists public.easycron_installation " +
        "(only_row boolean not null default true primary key check (only_row), role_prefix text not null)",
    );
    await client.query(
      "insert into public.easycron_installation (role_prefix) values ($1) " +
        "on conflict (only_row) do update set role_prefix = excluded.role_prefix",
      [prefix],
    );
    if (present !== undefined && present !== prefix) {
      await moveGrants(client, rolesOf(present), rolesOf(prefix));
    }
  });
}

async function apply(client: pg.Client, migration: Migration, roles: ByRole<string>): Promise<void> {
  await inTransaction(client, async () => {
    await client.query(
      "create table if not exists public.easycron_migrations (number integer primary key, name text not null, " +
        "checksum text not null, applied_time timestamptz not null default now())",
    );
    // A function may name a column that an older PostgreSQL does not have, until a later migration replaces it.
    await client.query("set local check_function_bodies = off");
    await client.query(forInstallation(client, migration.text, roles));
    await client.query(
      "insert into public.easycron_migrations (number, name, checksum) values ($1, $2, $3)",
      [migration.number, migration.name, migration.checksum],
    );
  });
}

/**
 * Returns a migration's text with the names of this installation's roles: the files name them easycron_<service>. It
 * leaves out settings of roles, which need the right to create roles; a setting is made by the service in its sessions.
 */
function forInstallation(client: pg.Client, text: string, roles: ByRole<string>): string {
  return text
    .replace(/^alter role easycron_\w+ set .*;$/gm, "")
    .replace(/\beasycron_(gateway|scheduler|dispatcher)\b/g, (_, service: DatabaseRole) =>
      client.escapeIdentifier(roles[service]),
    );
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query("begin");
  try {
    await work();
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw error;
  }
}
