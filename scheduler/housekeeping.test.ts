import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../db/pool.ts";
import { systemClock } from "../mesh/clock.ts";
import { createDatabase, type TestDatabase } from "../test/support/database.ts";
import { startHousekeeping } from "./housekeeping.ts";

let testDatabase: TestDatabase;
let database: Pool;
let admin: pg.Client;

beforeAll(async () => {
  testDatabase = await createDatabase();
  const connectionString = testDatabase.url("scheduler");
  database = createPool({ connectionString, max: 1, applicationName: "test" });
  admin = new pg.Client({ connectionString: testDatabase.url() });
  await admin.connect();
});

afterAll(async () => {
  await database.close();
  await admin.end();
  await testDatabase.drop();
});

const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Lets one process do one round, and returns how many request ids are left. */
async function leftAfterRound(leads: boolean): Promise<number> {
  const leadership = { leads: async () => leads, giveUp: async () => {}, isResting: () => false };
  await startHousekeeping({ database, clock: systemClock, logger, leadership }).stop();
  const { rows } = await admin.query("select count(*)::integer as n from scheduler.requests");
  return rows[0]?.n;
}

test("old request ids are deleted by the scheduler that leads, and by no other", async () => {
  await admin.query(
    `insert into scheduler.requests (project_id, request_id, fingerprint, job_uid, create_time)
     values ('proj_1', 'old', '', 'job_1', now() - interval '25 hours'), ('proj_1', 'new', '', 'job_1', now())`,
  );
  expect(await leftAfterRound(false)).toBe(2);
  expect(await leftAfterRound(true)).toBe(1);
});
