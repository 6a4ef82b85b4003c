import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import type { DatabaseRole } from "../../db/roles.ts";
// Only for the types of what `inject` returns.
import type {} from "./global-postgres.ts";

/** A migrated database for one test, on the PostgreSQL of the test run. */
export interface TestDatabase {
  /** Returns the connection string of the superuser, or of a service's role. */
  url(role?: DatabaseRole): string;
  /** Removes the database and ends all connections to it. */
  drop(): Promise<void>;
}

/** Makes a database by cloning the migrated template. */
export async function createDatabase(): Promise<TestDatabase> {
  const { url, template, rolePassword } = inject("easycronPostgres");
  const name = `test_${randomBytes(8).toString("hex")}`;
  // Tests take turns, so that no two clones are made at the same time.
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
