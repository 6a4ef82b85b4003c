// `npm run migrate`: brings the database of DATABASE_URL up to this version. The services never do so.
import { migrate, SchemaMismatchError } from "../db/migrate.ts";
import { rolePrefix } from "../db/role-prefix.ts";
import { RoleError } from "../db/roles.ts";
import { ConfigError, databaseUrl, readEnv } from "../mesh/config.ts";
import { problemOf } from "./start-error.ts";

const spec = {
  /** An administrator's connection string. */
  databaseUrl: databaseUrl("DATABASE_URL"),
  /** The prefix of the names of the services' roles. */
  rolePrefix: rolePrefix("EASYCRON_ROLE_PREFIX"),
};

try {
  const config = readEnv(process.env, spec);
  const { applied, last, roles } = await migrate(config.databaseUrl, { rolePrefix: config.rolePrefix });
  const done = applied === 0 ? "nothing to do" : `applied ${applied}`;
  const names = Object.values(roles).join(", ");
  console.log(`The database is migrated to ${last} (${done}). The services' roles are ${names}.`);
} catch (error) {
  process.stderr.write(`migrate: ${describe(error)}\n`);
  process.exitCode = error instanceof ConfigError ? 2 : 1;
}

function describe(error: unknown): string {
  const isOurs =
    error instanceof ConfigError || error instanceof SchemaMismatchError || error instanceof RoleError;
  return isOurs ? error.message : `The database of DATABASE_URL cannot be migrated: ${problemOf(error)}`;
}
