import pg from "pg";
import { ConfigError } from "../mesh/config.ts";
import { migrationsApplied } from "./check-migrated.sql.ts";
import { type AppliedMigration, describeDifference, readMigrations } from "./migration-files.ts";
import type { Queryable } from "./pool.ts";

const REMEDY = "Run `npm run migrate` of this version, then start again.";
const UNDEFINED_TABLE = "42P01";
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Checks that a database has the migrations of this version and no others. Every service does so before it serves, and
 * none migrates. Throws a ConfigError of one sentence when the database is not migrated, or a newer version has
 * migrated it, and SERVICE_UNAVAILABLE when it cannot be read.
 */
export async function checkMigrated(database: Queryable): Promise<void> {
  const migrations = await readMigrations();
  const applied = await readApplied(database);
  const difference = describeDifference(applied, migrations);
  if (difference !== undefined) throw new ConfigError([difference]);
  if (applied.length === migrations.length) return;
  const last = applied.at(-1)?.name ?? "none";
  throw new ConfigError([
    `The database of DATABASE_URL is not migrated: its last migration is ${last}, and this version needs ` +
      `${migrations.at(-1)?.name}. ${REMEDY}`,
  ]);
}

async function readApplied(database: Queryable): Promise<readonly AppliedMigration[]> {
  try {
    return await database.query(migrationsApplied);
  } catch (cause) {
    const code = cause instanceof pg.DatabaseError ? cause.code : undefined;
    if (code === UNDEFINED_TABLE) {
      throw new ConfigError([
        `The database of DATABASE_URL is not migrated: it has no tables of EasyCron. ${REMEDY}`,
      ]);
    }
    if (code === INSUFFICIENT_PRIVILEGE) {
      // Before migration 26, no service's role could read the table.
      throw new ConfigError([
        "The role of DATABASE_URL may not read public.easycron_migrations: the database is not migrated to this " +
          `version, or the role is not one of this database's. ${REMEDY}`,
      ]);
    }
    throw cause;
  }
}
