import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toSqlTime } from "../../db/time.ts";
import { createDatabase, type TestDatabase } from "../../test/support/database.ts";
import { jobClaimDue } from "../job/jobs.sql.ts";
import { everySecond, openBench, type SchedulerBench } from "../testing/bench.ts";

const START = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const JOBS = 1_000;
const TURNS = 20;
/** What a search may read. Reading over the dead index entries of an hour takes several hundred buffers more. */
const MOST_BUFFERS = 60;

let bench: SchedulerBench;
let database: TestDatabase;
beforeEach(async () => {
  bench = await openBench(START);
  database = await createDatabase();
});
afterEach(async () => {
  await bench.close();
  await database.drop();
});

test("while a long snapshot is held, the search for late jobs does not read over the dead rows that it keeps", async () => {
  const snapshot = new pg.Client({ connectionString: database.url() });
  const scheduler = new pg.Client({
    connectionString: database.url("scheduler"),
    options: "-c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off",
  });
  const admin = new pg.Client({ connectionString: database.url() });
  for (const client of [snapshot, scheduler, admin]) await client.connect();
  await snapshot.query("begin isolation level repeatable read");
  await snapshot.query("select count(*) from scheduler.jobs");
  await admin.query(
    `insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, create_time, update_time, wake_time)
     select 'job_' || n, 'proj_1', 'job-' || n, 'ACTIVE', 1, 1, now(), now(), now() - interval '1 hour'
       from generate_series(1, $1::integer) as n`,
    [JOBS],
  );
  // Each turn of a job moves its wake time, and leaves the old one in the index.
  for (let turn = 0; turn < TURNS; turn++) {
    await admin.query("update scheduler.jobs set wake_time = wake_time + interval '2 minutes'");
  }
  await admin.query("update scheduler.jobs set wake_time = now() + interval '1 hour'");
  const buffersFrom = async (fromMs: number) => {
    const values = [toSqlTime(Date.now() - 15_000), 100, toSqlTime(fromMs), []];
    await scheduler.query("begin");
    const { rows } = await scheduler.query(
      `explain (analyze, buffers, format json) ${jobClaimDue.text}`,
      values,
    );
    await scheduler.query("rollback");
    const plan = rows[0]["QUERY PLAN"][0].Plan;
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
  };
  const [recent, all] = [await buffersFrom(Date.now() - 75_000), await buffersFrom(0)];
  console.log(`buffers read with ${JOBS * TURNS} dead rows: ${recent}; by a full search: ${all}`);
  expect(recent).toBeLessThan(MOST_BUFFERS);
  expect(all).toBeGreaterThan(3 * MOST_BUFFERS);
  for (const client of [snapshot, scheduler, admin]) await client.end();
});

test("a job that has been late for long is found within five seconds", async () => {
  const job = await bench.createJob(everySecond("forgotten"));
  await bench.tick.run();
  const nowMs = START + 2 * HOUR_MS;
  // The first search of this tick that finds nothing late, so the next one reads only what is recent.
  await bench.spoil("scheduler", "update scheduler.jobs set wake_time = $1", [new Date(nowMs + HOUR_MS)]);
  bench.setTime(nowMs);
  await bench.tick.run();
  await bench.spoil("scheduler", "update scheduler.jobs set wake_time = $1", [new Date(nowMs - HOUR_MS)]);
  const before = (await bench.triggersOf(job.uid)).length;
  bench.setTime(nowMs + 4_000);
  await bench.tick.run();
  expect(await bench.triggersOf(job.uid)).toHaveLength(before);
  bench.setTime(nowMs + 5_000);
  await bench.tick.run();
  expect((await bench.triggersOf(job.uid)).length).toBeGreaterThan(before);
});
