import pg from "pg";
import { isWrongPassword } from "./admin.ts";

/** The services that use the database. Each has its own role in PostgreSQL. */
export const DATABASE_ROLES = ["gateway", "scheduler", "dispatcher"] as const;

/** A service that has its own role in PostgreSQL. */
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

/** One value for each service's role. */
export type ByRole<T> = Readonly<Record<DatabaseRole, T>>;

/**
 * The services' roles cannot be made, or cannot be used. The database was not changed. The message is one line: what is wrong,
 * which role, and what to do.
 */
export class RoleError extends Error {
  override readonly name = "RoleError";
}

const MAX_NAME_BYTES = 63;
const INSUFFICIENT_PRIVILEGE = "42501";
const SEE = 'See "Roles" in docs/operations.md.';

/**
 * Returns the prefix of the roles of a new database. Roles belong to the whole server, so their names carry the
 * installation: `easycron_<database>`, and `easycron` for a database of that name.
 */
export function defaultPrefix(database: string): string {
  return database === "easycron" ? "easycron" : `easycron_${database}`;
}

/** Returns the names of the roles, `<prefix>_<service>`. Throws a RoleError when one is longer than 63 bytes. */
export function rolesOf(prefix: string): ByRole<string> {
  const names = {
    gateway: `${prefix}_gateway`,
    scheduler: `${prefix}_scheduler`,
    dispatcher: `${prefix}_dispatcher`,
  };
  const tooLong = Object.values(names).find((name) => Buffer.byteLength(name) > MAX_NAME_BYTES);
  if (tooLong === undefined) return names;
  throw new RoleError(
    `The role ${tooLong} would have more than ${MAX_NAME_BYTES} bytes. Set EASYCRON_ROLE_PREFIX to a shorter prefix.`,
  );
}

/** Returns a connection string with another role and its password. */
export function withRole(databaseUrl: string, role: string, password: string): string {
  const url = new URL(databaseUrl);
  if (url.hostname === "") {
    // A URL without a host names a socket in its parameters. It can name a user only there.
    url.searchParams.set("user", role);
    url.searchParams.set("password", password);
    return url.href;
  }
  url.username = role;
  url.password = password;
  return url.href;
}

interface RoleState {
  readonly name: string;
  readonly canLogin: boolean;
  readonly isSuperuser: boolean;
}

/**
 * Checks the roles that exist, and makes those that do not. A new role may log in if `passwords` has one for it. A role
 * that exists is never changed, unless `resetsPasswords`: then it gets its password anew. `connectionString` is the
 * administrator's, whose connection is `client`.
 *
 * Throws a RoleError when a role is missing and the administrator may not make roles, when a role is a superuser, and
 * when a role that exists does not accept its password.
 */
export async function ensureRoles(
  client: pg.Client,
  options: {
    readonly connectionString: string;
    readonly roles: ByRole<string>;
    readonly passwords: Partial<ByRole<string>>;
    readonly resetsPasswords: boolean;
  },
): Promise<void> {
  const { connectionString, roles, passwords, resetsPasswords } = options;
  const { rows: found } = await client.query<RoleState>(
    `select rolname as name, rolcanlogin as "canLogin", rolsuper as "isSuperuser" from pg_roles
      where rolname = any ($1)`,
    [Object.values(roles)],
  );
  const missing = DATABASE_ROLES.filter((service) => !found.some(({ name }) => name === roles[service]));
  await checkMayCreate(
    client,
    missing.map((service) => roles[service]),
  );
  for (const service of DATABASE_ROLES) {
    const role = found.find(({ name }) => name === roles[service]);
    const password = passwords[service];
    if (role === undefined) continue;
    if (role.isSuperuser) {
      throw new RoleError(
        `The role ${role.name} is a superuser; the role of a service must not be one. ${SEE}`,
      );
    }
    if (password === undefined || resetsPasswords) continue;
    if (!role.canLogin) {
      throw new RoleError(
        `The role ${role.name} exists and may not log in, and EasyCron does not change a role that exists. ` +
          `Give its service a login of your own, or set EASYCRON_RESET_ROLE_PASSWORDS=on once. ${SEE}`,
      );
    }
    await checkPassword(withRole(connectionString, role.name, password), role.name);
  }
  for (const service of DATABASE_ROLES) {
    const isNew = missing.includes(service);
    const password = passwords[service];
    if (isNew) await execute(client, "create role %I", roles[service]);
    if (password !== undefined && (isNew || resetsPasswords)) {
      await execute(client, "alter role %I login password %L", roles[service], password);
    }
    await allowConnecting(client, roles[service]);
  }
}

async function checkMayCreate(client: pg.Client, missing: readonly string[]): Promise<void> {
  if (missing.length === 0) return;
  const { rows } = await client.query<{ may: boolean; user: string }>(
    `select rolsuper or rolcreaterole as may, current_user as user from pg_roles where rolname = current_user`,
  );
  if (rows[0]?.may) return;
  const statements = missing.map((name) => `create role ${client.escapeIdentifier(name)};`).join(" ");
  throw new RoleError(
    `The user ${rows[0]?.user} may not create roles (CREATEROLE), and these are missing. Let an administrator of the ` +
      `server run: ${statements} ${SEE}`,
  );
}

async function checkPassword(connectionString: string, role: string): Promise<void> {
  const client = new pg.Client({ connectionString, application_name: "easycron-migrate" });
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (cause) {
    // A role that may not connect yet has been let in: PostgreSQL checks that after the password.
    if (cause instanceof pg.DatabaseError && cause.code === INSUFFICIENT_PRIVILEGE) return;
    if (!isWrongPassword(cause)) throw cause;
    throw new RoleError(
      `The role ${role} exists with another password, perhaps of another installation on the same server, and EasyCron ` +
        "does not change a role that exists. Set EASYCRON_ROLE_PREFIX to give this installation roles of its own, or " +
        `EASYCRON_RESET_ROLE_PASSWORDS=on once to set the passwords anew. ${SEE}`,
      { cause },
    );
  } finally {
    await client.end().catch(() => {});
  }
}

/** Lets a role connect to the database of the connection, in case not everybody may. */
async function allowConnecting(client: pg.Client, role: string): Promise<void> {
  const { rows } = await client.query<{ may: boolean; database: string }>(
    "select has_database_privilege($1, current_database(), 'connect') as may, current_database() as database",
    [role],
  );
  if (rows[0]?.may === false)
    await execute(client, "grant connect on database %I to %I", rows[0].database, role);
}

/** The statements that give to role $2 what role $1 may do in the product's schemas, and take it from $1. */
const MOVE_GRANTS = `
  with object (words, acl) as (
    select format('schema %I', nspname), nspacl from pg_namespace
     where nspname in ('gateway', 'scheduler', 'dispatcher', 'public')
    union all
    select format('table %s', c.oid::regclass), c.relacl from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('gateway', 'scheduler', 'dispatcher')
        or (n.nspname = 'public' and c.relname = 'easycron_migrations')
    union all
    select format('function %s', p.oid::regprocedure), p.proacl from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname in ('gateway', 'scheduler', 'dispatcher')
  )
  select format('grant %s on %s to %I', g.privilege_type, object.words, $2::text) as grant,
         format('revoke %s on %s from %I', g.privilege_type, object.words, $1::text) as revoke
    from object, aclexplode(object.acl) as g join pg_roles r on r.oid = g.grantee
   where r.rolname = $1`;

/**
 * Gives the new roles everything that the old ones may do in the database, and takes it from the old ones. To be called
 * in a transaction. The old roles stay: they belong to the whole server.
 */
export async function moveGrants(client: pg.Client, from: ByRole<string>, to: ByRole<string>): Promise<void> {
  for (const service of DATABASE_ROLES) {
    const { rows } = await client.query<{ grant: string; revoke: string }>(MOVE_GRANTS, [
      from[service],
      to[service],
    ]);
    for (const { grant, revoke } of rows) {
      await client.query(grant);
      await client.query(revoke);
    }
  }
}

/**
 * Checks that a service can use the database under a login of the operator's own. Throws a RoleError when that login is
 * not a member of the service's role (and so has its grants), or is a superuser.
 */
export async function checkLogin(connectionString: string, role: string, variable: string): Promise<void> {
  const client = new pg.Client({ connectionString, application_name: "easycron-migrate" });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ user: string; isMember: boolean; isSuperuser: boolean }>(
      `select current_user as user, pg_has_role($1, 'usage') as "isMember", rolsuper as "isSuperuser"
         from pg_roles where rolname = current_user`,
      [role],
    );
    const [login] = rows;
    if (login === undefined || (login.isMember && !login.isSuperuser)) return;
    const remedy = login.isSuperuser
      ? "it is a superuser, and a service must not be one. Use another login."
      : `it is not a member of the role ${role}. Let an administrator of the server run: grant ` +
        `${client.escapeIdentifier(role)} to ${client.escapeIdentifier(login.user)};`;
    throw new RoleError(`${variable} has the login ${login.user}, and ${remedy} ${SEE}`);
  } finally {
    await client.end().catch(() => {});
  }
}

async function execute(client: pg.Client, format: string, ...values: readonly string[]): Promise<void> {
  const slots = values.map((_, index) => `, $${index + 2}::text`).join("");
  const made = await client.query<{ text: string }>(`select format($1::text${slots}) as text`, [
    format,
    ...values,
  ]);
  await client.query(made.rows[0]?.text ?? "");
}
