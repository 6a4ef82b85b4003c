import type { AppliedMigration } from "./migration-files.ts";
import { statement } from "./statement.ts";

/** Reads the migrations that the database has, in their order. */
export const migrationsApplied = statement<AppliedMigration>(
  "migrationsApplied",
  "select number, name, checksum from public.easycron_migrations order by number",
);
