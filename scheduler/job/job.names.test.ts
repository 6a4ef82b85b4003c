import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Statement } from "../../db/statement.ts";
import { jobsByNames } from "../batch/batch.sql.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { copyJob } from "../testing/copy-job.ts";
import { jobByName, jobLockForHandOver, jobsByNameAt, jobUidsByName } from "./jobs.sql.ts";

const START = Date.UTC(2026, 0, 1);
/** As many jobs with names of their own, and as many deleted ones that had the same name. */
const JOBS = 2_000;
/** A search reads along one index, or along two and the table. A scan would read hundreds of blocks. */
const MOST_BUFFERS = 40;

let bench: SchedulerBench;
let admin: pg.Client;
beforeAll(async () => {
  bench = await openBench(START);
  admin = new pg.Client({
    connectionString: bench.adminUrl,
    options: "-c timezone=UTC -c jit=off -c plan_cache_mode=force_generic_plan",
  });
  await admin.connect();
  const { uid } = await bench.createJob(everySecond("job"));
  await copyJob(admin, uid, JOBS);
  await copyJob(admin, uid, JOBS, "deleted");
  await admin.query(
    `update scheduler.jobs set name = 'again', state = 'DELETED', next_fire_time = null, wake_time = null,
            create_time = $1::timestamptz + right(name, 6)::integer * interval '1 s',
            update_time = $1::timestamptz + right(name, 6)::integer * interval '1 s' + interval '1 s'
      where name like 'copydeleted%'`,
    [new Date(START).toISOString()],
  );
  await admin.query("analyze scheduler.jobs, scheduler.revisions");
}, 60_000);
afterAll(async () => {
  await admin.end();
  await bench.close();
});

async function buffersOf({ text }: Statement<unknown>, values: readonly unknown[]): Promise<number> {
  const { rows } = await admin.query(`explain (analyze, buffers, format json) ${text}`, [...values]);
  const plan = rows[0]["QUERY PLAN"][0].Plan;
  return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"];
}

test("a job is found by its name along an index, among thousands of jobs of its project", async () => {
  const name = "copy001000";
  expect(await buffersOf(jobByName, [PROJECT, name])).toBeLessThan(MOST_BUFFERS);
  expect(await buffersOf(jobsByNames, [PROJECT, [name]])).toBeLessThan(MOST_BUFFERS);
  expect(await buffersOf(jobLockForHandOver, [PROJECT, name])).toBeLessThan(MOST_BUFFERS);
  expect(await buffersOf(jobUidsByName, [PROJECT, name])).toBeLessThan(MOST_BUFFERS);
  expect(await buffersOf(jobsByNameAt, [PROJECT, name, new Date(START + 1).toISOString()])).toBeLessThan(
    MOST_BUFFERS,
  );
});

test("deleted jobs are found by the name that they had, newest first, and after the one that has it now", async () => {
  const at = (ms: number) => new Date(START + ms).toISOString();
  const { database } = bench.parts;
  bench.setTime(START + 10_000_000);
  const living = await bench.createJob(everySecond("again"));
  const uids = (await database.query(jobUidsByName, [PROJECT, "again"])).map(({ uid }) => uid);
  expect(uids).toHaveLength(100);
  expect(uids.slice(0, 3)).toEqual([living.uid, "job_copydeleted002000", "job_copydeleted001999"]);
  expect(await buffersOf(jobUidsByName, [PROJECT, "again"])).toBeLessThan(200);
  const uidAt = async (ms: number) =>
    (await database.query(jobsByNameAt, [PROJECT, "again", at(ms)]))[0]?.uid;
  expect(await uidAt(1_000_500)).toBe("job_copydeleted001000");
  expect(await uidAt(10_000_001)).toBe(living.uid);
  expect(await uidAt(5_000_000)).toBeUndefined();
});
