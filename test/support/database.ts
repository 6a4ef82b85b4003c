import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import type { DatabaseRole } from "../../db/migrate.ts";
// Only for its declaration of what is injected.
import type {} from "./global-postgres.ts";

/** A migrated database of a test's own, on the test run's server. */
export interface TestDatabase {
  /** Connection string, of the superuser or of a service's role. */
  url(role?: DatabaseRole): string;
  /** Removes it, whoever is still connected. */
  drop(): Promise<void>;
}

/** Clones the migrated template. */
export async function createDatabase(): Promise<TestDatabase> {
  const { url, template, rolePassword } = inject("easycronPostgres");
  const name = `test_${randomBytes(8).toString("hex")}`;
  // Tests take turns, so that no clone meets another that is being made.
  await execute(url, "select pg_advisory_lock(1)", `create database ${name} template ${template}`);
  return {
    url: (role) => {
      const own = new URL(url);
      own.pathname = name;
      if (role !== undefined) {
        own.username = `easycron_${role}`;
        own.password = rolePassword;
      }
      return own.href;
    },
    drop: () => execute(url, `drop database ${name} with (force)`),
  };
}

async function execute(connectionString: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    for (const text of statements) await client.query(text);
  } finally {
    await client.end();
  }
}
