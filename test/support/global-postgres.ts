import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { startPostgres, type TestPostgres } from "./postgres.ts";
import { EMPTY_DATABASE, PREPARED_PASSWORDS, prepareData } from "./prepared-data.ts";

/** The PostgreSQL of a test run, and what is prepared on it. */
export interface SharedPostgres {
  /** Connection string of the superuser to the database "postgres". */
  readonly url: string;
  /** Name of a database that is migrated and that nobody is connected to, to be cloned. */
  readonly template: string;
  /** Password of the roles easycron_gateway, easycron_scheduler and easycron_dispatcher. */
  readonly rolePassword: string;
  /** Path of a data directory of the product, to be copied. It is not in use. */
  readonly preparedData: string;
}

declare module "vitest" {
  interface ProvidedContext {
    easycronPostgres: SharedPostgres;
  }
}

interface Shared {
  readonly server: TestPostgres;
  readonly preparedData: string;
}

// Each of vitest's projects loads this module and runs the set-up. The server is kept in globalThis, so they share it.
const shared = globalThis as { easycronTestPostgres?: { users: number; started: Promise<Shared> } };

/**
 * Starts the PostgreSQL of the test run, with a migrated database to clone, and makes a data directory to copy. Returns
 * the function that stops the server and removes the data.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  shared.easycronTestPostgres ??= { users: 0, started: start() };
  const own = shared.easycronTestPostgres;
  own.users++;
  const { server, preparedData } = await own.started;
  project.provide("easycronPostgres", {
    url: server.url,
    template: EMPTY_DATABASE,
    rolePassword: PREPARED_PASSWORDS.gateway,
    preparedData,
  });
  return async () => {
    own.users--;
    if (own.users > 0) return;
    delete shared.easycronTestPostgres;
    await server.stop();
    await rm(preparedData, { recursive: true });
  };
}

async function start(): Promise<Shared> {
  const preparedData = await prepareData();
  const server = await startPostgres({
    password: PREPARED_PASSWORDS.postgres,
    copyOf: join(preparedData, "postgres"),
  });
  return { server, preparedData };
}
