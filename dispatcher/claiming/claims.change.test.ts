import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { randomFrom, seedOf } from "../../test/support/seed.ts";
import { createGround, eventOf, type Ground, type TestDispatcher, untilCounted } from "../testing/ground.ts";

let ground: Ground;
let receiver: Receiver;
let dispatchers: TestDispatcher[];
let projectId: string;

beforeAll(async () => {
  ground = await createGround();
  receiver = await startReceiver();
  ({ projectId } = await ground.addProject());
  dispatchers = [await ground.start(), await ground.start()];
});

afterAll(async () => {
  await ground.end();
  await receiver.stop();
});

const JOBS = 160;
const SPREAD_MS = 1_200;

/**
 * Withdraws a job's triggers as the scheduler does when the job changes. Returns the time when that was acknowledged.
 */
async function withdraw(pool: pg.Pool, jobUid: string): Promise<number> {
  const client = await pool.connect();
  await client.query("begin");
  await client.query("select from scheduler.jobs where uid = $1 for update", [jobUid]);
  await client.query("select dispatcher.withdraw($1, to_timestamp($2::float8 / 1000))", [jobUid, Date.now()]);
  await client.query("update scheduler.jobs set epoch = epoch + 1 where uid = $1", [jobUid]);
  await client.query("commit");
  client.release();
  return Date.now();
}

async function slowestOf(times: number, work: () => Promise<unknown>): Promise<number> {
  let slowestMs = 0;
  for (let left = times; left > 0; left--) {
    const startedMs = performance.now();
    await work();
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
  }
  return slowestMs;
}

test("a claim starts no attempt for a fire time after the moment at which a change of the job returned", async () => {
  const random = randomFrom(seedOf("EASYCRON_DISPATCHER_CHANGE_SEED"));
  const pool = new pg.Pool({ connectionString: ground.adminUrl, max: 16 });
  pool.on("error", () => {});
  const jobs = await Promise.all(
    Array.from({ length: JOBS }, () => ground.addJob(projectId, `${receiver.url}/change`)),
  );
  // Changes come together below, too.
  const slowest = await Promise.all([1, 2, 3, 4].map(() => slowestOf(5, () => withdraw(pool, projectId))));
  const windowMs = 10 + Math.ceil(4 * Math.max(...slowest));
  // All triggers are accepted before the first change begins.
  const start = Date.now() + windowMs + 3_000;
  const events = jobs.map((job) => eventOf(job, start + Math.floor(random() * SPREAD_MS)));
  const answered = dispatchers.map(({ events: told }, index) => {
    const part = events.filter((_, each) => each % dispatchers.length === index).length;
    return untilCounted(told, "claimed", (each) => each.started + each.refused, part);
  });
  await Promise.all(
    dispatchers.map((dispatcher, index) =>
      dispatcher.accept(events.filter((_, each) => each % dispatchers.length === index)),
    ),
  );
  const changes = await Promise.all(
    jobs.map(async (job, index) => {
      const dueMs = Number(events[index]?.nominalTimeMs);
      // Changes begin at most windowMs before the fire time (some changes take that long now) and up to 4 ms after it.
      // Most begin close to it.
      await new Promise((reached) => setTimeout(reached, dueMs + 4 - windowMs * random() ** 2 - Date.now()));
      return { job, dueMs, returnedMs: await withdraw(pool, job.uid) };
    }),
  );
  await Promise.all(answered);
  const rows = await ground.sql("select job_uid from dispatcher.triggers where state <> 'PENDING'");
  const started = new Set(rows.map(({ job_uid }) => job_uid));
  await receiver.waitFor((all) => all.length >= started.size);
  const delivered = new Set(receiver.requests.map(({ job }) => job));
  const wrong = changes.filter(({ job, dueMs, returnedMs }) => {
    return dueMs > returnedMs && (started.has(job.uid) || delivered.has(job.name));
  });
  expect(wrong).toEqual([]);
  const before = changes.filter(({ dueMs, returnedMs }) => dueMs > returnedMs).length;
  console.log(`${before} of ${JOBS} changes returned before the fire time, ${delivered.size} were delivered`);
  expect(before).toBeGreaterThan(0);
  expect(delivered.size).toBeGreaterThan(0);
  await pool.end();
});
