import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import type { DatabaseRole } from "../../db/migrate.ts";
import { TEMPLATE } from "./global-postgres.ts";

/** A freshly migrated database of a test's own. */
export interface TestDatabase {
  /** Connection string under a service's role, or the administrator's. */
  url(role?: DatabaseRole): string;
  /** Removes it, ending what is still connected. */
  drop(): Promise<void>;
}

/** Clones the template. */
export async function createDatabase(): Promise<TestDatabase> {
  const admin = inject("postgresUrl");
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  // Two clones of one template at a time are refused, so tests take turns.
  await administrate(admin, ["select pg_advisory_lock(1)", `create database ${name} template ${TEMPLATE}`]);
  return {
    url: (role) => {
      const url = new URL(admin);
      url.pathname = name;
      if (role !== undefined) {
        url.username = `easycron_${role}`;
        url.password = role;
      }
      return url.href;
    },
    drop: () => administrate(admin, [`drop database ${name} with (force)`]),
  };
}

async function administrate(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const text of statements) await client.query(text);
  } finally {
    await client.end();
  }
}
