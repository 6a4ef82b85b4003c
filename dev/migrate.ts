// `npm run migrate`: brings the database of DATABASE_URL up to this version. The services never do so.
import { migrate, SchemaMismatchError } from "../db/migrate.ts";
import { ConfigError, databaseUrl, readEnv } from "../mesh/config.ts";
import { problemOf } from "./start-error.ts";

const spec = {
  /** An administrator's connection string. */
  databaseUrl: databaseUrl("DATABASE_URL"),
};

try {
  const config = readEnv(process.env, spec);
  const { applied, last } = await migrate(config.databaseUrl);
  const done = applied === 0 ? "nothing to do" : `applied ${applied}`;
  console.log(`The database is migrated to ${last} (${done}).`);
} catch (error) {
  const isOurs = error instanceof ConfigError || error instanceof SchemaMismatchError;
  const line = isOurs
    ? error.message
    : `The database of DATABASE_URL cannot be migrated: ${problemOf(error)}`;
  process.stderr.write(`migrate: ${line}\n`);
  process.exitCode = error instanceof ConfigError ? 2 : 1;
}
