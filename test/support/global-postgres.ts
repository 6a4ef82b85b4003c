import pg from "pg";
import type { TestProject } from "vitest/node";
import { migrate } from "../../db/migrate.ts";
import { startPostgres, type TestPostgres } from "./postgres.ts";

/** Where the PostgreSQL of a test run is, and what it has ready. */
export interface SharedPostgres {
  /** Connection string of the superuser to the database "postgres". */
  readonly url: string;
  /** Name of a database that is migrated and that nobody is connected to, to be cloned. */
  readonly template: string;
  /** Password of the roles easycron_gateway, easycron_scheduler and easycron_dispatcher. */
  readonly rolePassword: string;
}

declare module "vitest" {
  interface ProvidedContext {
    easycronPostgres: SharedPostgres;
  }
}

const TEMPLATE = "easycron_template";
const ROLE_PASSWORD = "test-role";

// Each of vitest's projects runs this set-up, in a module instance of its own; they share one server.
const shared = globalThis as { easycronTestPostgres?: { users: number; server: Promise<TestPostgres> } };

/** Starts one PostgreSQL for the whole test run, with a migrated database to clone, and returns what ends it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.easycronTestPostgres ??= { users: 0, server: startMigrated() };
  const own = shared.easycronTestPostgres;
  own.users++;
  const { url } = await own.server;
  project.provide("easycronPostgres", { url, template: TEMPLATE, rolePassword: ROLE_PASSWORD });
  return async () => {
    own.users--;
    if (own.users > 0) return;
    delete shared.easycronTestPostgres;
    await (await own.server).stop();
  };
}

async function startMigrated(): Promise<TestPostgres> {
  const server = await startPostgres();
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query(`create database ${TEMPLATE}`);
  await client.end();
  const url = new URL(server.url);
  url.pathname = TEMPLATE;
  const rolePasswords = { gateway: ROLE_PASSWORD, scheduler: ROLE_PASSWORD, dispatcher: ROLE_PASSWORD };
  await migrate(url.href, { rolePasswords });
  return server;
}
