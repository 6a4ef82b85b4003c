import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { everySecond, openBench, type SchedulerBench } from "../testing/bench.ts";
import type { JobRow } from "./job.ts";
import { jobsLockForChange } from "./jobs.sql.ts";

let bench: SchedulerBench;
let admin: pg.Client;
beforeEach(async () => {
  bench = await openBench(Date.UTC(2026, 0, 1));
  admin = new pg.Client({ connectionString: bench.adminUrl });
  await admin.connect();
});
afterEach(async () => {
  await admin.end();
  await bench.close();
});

const LOCK = "select uid, epoch, contended from scheduler.lock_current_or_skip($1, $2) order by uid";
const KEYS = "select uid from scheduler.jobs where uid = any ($1) for update skip locked";

/** Asks for (job, epoch) pairs in a transaction, and tells which jobs another one can then not lock. */
async function lock(pairs: readonly (readonly [string, number])[]) {
  await admin.query("begin");
  const uids = pairs.map(([uid]) => uid);
  const { rows } = await admin.query(LOCK, [uids, pairs.map(([, epoch]) => epoch)]);
  const other = new pg.Client({ connectionString: bench.adminUrl });
  await other.connect();
  const free = (await other.query(KEYS, [uids])).rows.map(({ uid }) => uid);
  await other.end();
  await admin.query("commit");
  return { rows, locked: [...new Set(uids)].filter((uid) => !free.includes(uid)).sort() };
}

const createJobs = (count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => bench.createJob(everySecond(`job-${index}`))));
const sorted = (jobs: readonly JobRow[]) => [...jobs].sort((a, b) => (a.uid < b.uid ? -1 : 1));

test("all jobs that are in effect are locked and returned once, however often they are given", async () => {
  const jobs = sorted(await createJobs(3));
  const pairs = jobs.map(({ uid }) => [uid, 1] as const);
  const { rows, locked } = await lock([...pairs, ...pairs]);
  expect(rows).toEqual(jobs.map(({ uid }) => ({ uid, epoch: 1, contended: false })));
  expect(locked).toEqual(jobs.map(({ uid }) => uid));
});

test("a job that is locked for a change is contended, and neither an old epoch nor an unknown job is in effect", async () => {
  const [changing, free, old] = await createJobs(3);
  if (changing === undefined || free === undefined || old === undefined) throw new Error("A job is missing.");
  await bench.parts.database.transaction(async (tx) => {
    await tx.query(jobsLockForChange, [[changing.uid]]);
    const { rows } = await lock([
      [changing.uid, 1],
      [free.uid, 1],
      [old.uid, 0],
      ["job_unknown", 1],
    ]);
    const expected = [
      { uid: changing.uid, epoch: 1, contended: true },
      { uid: free.uid, epoch: 1, contended: false },
    ];
    expect(rows).toEqual(expected.sort((a, b) => (a.uid < b.uid ? -1 : 1)));
    expect((await lock([[changing.uid, 1]])).rows).toEqual([
      { uid: changing.uid, epoch: 1, contended: true },
    ]);
  });
  expect((await lock([])).rows).toEqual([]);
});
