import pg from "pg";
import type { TestProject } from "vitest/node";
import { migrate } from "../../db/migrate.ts";
import { startPostgres } from "./postgres.ts";

/** Name of the migrated database that every test file's own is cloned from. */
export const TEMPLATE = "easycron_template";

declare module "vitest" {
  export interface ProvidedContext {
    /** The administrator's connection string of the test run's PostgreSQL. */
    postgresUrl: string;
  }
}

/** Runs once before all tests: starts PostgreSQL and migrates the template. Returns what runs once after them. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startPostgres();
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`create database ${TEMPLATE}`);
  await client.end();
  const rolePasswords = { gateway: "gateway", scheduler: "scheduler", dispatcher: "dispatcher" };
  await migrate(postgres.url.replace(/postgres$/, TEMPLATE), { rolePasswords });
  project.provide("postgresUrl", postgres.url);
  return () => postgres.stop();
}
