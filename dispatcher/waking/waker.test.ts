import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createPool, type Pool } from "../../db/pool.ts";
import { type Receiver, startReceiver } from "../../test/support/receiver.ts";
import { createSpecCache, type SpecCache } from "../delivery/spec-cache.ts";
import { createEvents } from "../events/events.ts";
import {
  createGround,
  eventOf,
  type Ground,
  type TestDispatcher,
  type TestJob,
  untilRecorded,
} from "../testing/ground.ts";
import { createWaker, type Waker } from "./waker.ts";

const BUFFER = { overlapPolicy: "OVERLAP_POLICY_BUFFER_ONE" };
const NOW = Date.UTC(2026, 2, 1, 9);

let ground: Ground;
let projectId: string;
beforeAll(async () => {
  ground = await createGround();
  ({ projectId } = await ground.addProject());
});
afterAll(() => ground.end());

/** Makes the row of a job what a turn leaves when the job waits for an earlier trigger. */
const sleep = (job: TestJob, change = "") =>
  ground.sql(
    `update scheduler.jobs set waits_for_end = true, wake_time = now() + interval '1 day' ${change} where uid = $1`,
    [job.uid],
  );
const sleepingJob = async (url = "https://example.com/", spec: object = {}) => {
  const job = await ground.addJob(projectId, url, { ...BUFFER, ...spec });
  await sleep(job);
  return job;
};
const isAwake = async ({ uid }: TestJob): Promise<boolean> => {
  const text = "select wake_time <= now() as awake from scheduler.jobs where uid = $1";
  return (await ground.sql(text, [uid]))[0].awake;
};
const untilAwake = (job: TestJob) => expect.poll(() => isAwake(job), { timeout: 20_000 }).toBe(true);
const revisionOf = ({ uid }: TestJob) => ({ jobUid: uid, revision: 1 });

describe("a waker", () => {
  let database: Pool;
  let specs: SpecCache;
  let waker: Waker;
  const events = createEvents();
  /** Runs before each statement of the waker. */
  let before: () => void = () => {};
  /** How many statements of the waker were answered. */
  let answered = 0;

  beforeEach(() => {
    database = createPool({ connectionString: ground.databaseUrl, max: 1, applicationName: "test" });
    specs = createSpecCache(database, 1_000_000);
    before = () => {};
    answered = 0;
    waker = createWaker({
      database: {
        ...database,
        query: async (statement, values) => {
          before();
          const rows = await database.query(statement, values);
          answered += 1;
          return rows;
        },
      },
      clock: { now: () => NOW },
      random: Math.random,
      events,
      specs,
    });
  });
  afterEach(async () => {
    await waker.close(0);
    await database.close();
  });

  test("wakes jobs that wait, and leaves alone those that are paused, do not wait, or are due earlier", async () => {
    const waiting = await sleepingJob();
    const paused = await sleepingJob();
    await sleep(paused, ", state = 'PAUSED'");
    const idle = await sleepingJob();
    await ground.sql("update scheduler.jobs set waits_for_end = false where uid = $1", [idle.uid]);
    const due = await sleepingJob();
    await ground.sql("update scheduler.jobs set wake_time = $2 where uid = $1", [
      due.uid,
      new Date(NOW - 60_000).toISOString(),
    ]);
    for (const job of [waiting, paused, idle, due]) waker.ended(revisionOf(job));
    await waker.close(20_000);
    expect(waker.size).toBe(0);
    expect(await Promise.all([waiting, paused, idle].map(isAwake))).toEqual([true, false, false]);
    const text = "select wake_time from scheduler.jobs where uid = any ($1) order by wake_time";
    const times = await ground.sql(text, [[waiting.uid, due.uid]]);
    expect(times.map(({ wake_time: time }) => time.getTime())).toEqual([NOW - 60_000, NOW]);
  });

  test("asks PostgreSQL nothing about a job whose triggers may overlap", async () => {
    const plain = await ground.addJob(projectId, "https://example.com/");
    const buffering = await sleepingJob();
    await specs.load([plain, buffering].map(revisionOf));
    waker.ended(revisionOf(plain));
    expect(waker.size).toBe(0);
    waker.ended(revisionOf(buffering));
    expect(waker.size).toBe(1);
  });

  test("wakes a job whose turn was under way when the trigger ended, and did not see the end", async () => {
    const job = await ground.addJob(projectId, "https://example.com/", BUFFER);
    const turn = new pg.Client({ connectionString: ground.adminUrl });
    await turn.connect();
    await turn.query("begin");
    await turn.query("select from scheduler.jobs where uid = $1 for no key update", [job.uid]);
    waker.ended(revisionOf(job));
    await expect.poll(() => answered).toBeGreaterThan(0);
    expect(waker.size).toBe(1);
    const text =
      "update scheduler.jobs set waits_for_end = true, wake_time = now() + interval '1 day' where uid = $1";
    await turn.query(text, [job.uid]);
    await turn.query("commit");
    await turn.end();
    await waker.close(20_000);
    expect(await isAwake(job)).toBe(true);
  });

  test("repeats a statement that failed, and reports it once", async () => {
    const told: string[] = [];
    events.on("trouble", ({ part }) => told.push(part));
    events.on("recovered", ({ failures }) => told.push(`recovered after ${failures}`));
    let failures = 2;
    before = () => {
      if (failures === 0) return;
      failures -= 1;
      throw new Error("PostgreSQL is away.");
    };
    const job = await sleepingJob();
    waker.ended(revisionOf(job));
    await untilAwake(job);
    expect(told).toEqual(["waking jobs", "recovered after 2"]);
  });

  test("keeps at most 10,000 jobs in mind, and reports that it lost others", async () => {
    const told: unknown[] = [];
    events.on("trouble", ({ error }) => told.push(error));
    before = () => {
      throw new Error("PostgreSQL is away.");
    };
    for (let index = 0; index < 10_100; index++) waker.ended({ jobUid: `job_${index}`, revision: 1 });
    expect(waker.size).toBe(10_000);
    expect(told).toHaveLength(1);
  });
});

describe("a dispatcher wakes a job when its trigger", () => {
  let receiver: Receiver;
  let dispatcher: TestDispatcher;
  beforeAll(async () => {
    receiver = await startReceiver();
    dispatcher = await ground.start();
  });
  afterAll(() => receiver.stop());

  const once = { maxAttempts: 1, minBackoff: "1s", maxBackoff: "1s", maxAge: "60s" };

  test.each([
    ["is SUCCEEDED", 200, "SUCCEEDED"],
    ["is EXHAUSTED", 500, "EXHAUSTED"],
  ])("%s", async (_, status, state) => {
    const path = `/${status}`;
    receiver.answer(path, () => ({ status }));
    const job = await sleepingJob(`${receiver.url}${path}`, { retryPolicy: once });
    const event = eventOf(job, Date.now());
    const recorded = untilRecorded(dispatcher.events, [event]);
    await dispatcher.accept([event]);
    await recorded;
    await untilAwake(job);
    expect(
      await ground.sql("select state from dispatcher.triggers where id = $1", [event.triggerId]),
    ).toEqual([{ state }]);
  });

  test("is found CANCELLED at its due time", async () => {
    const job = await sleepingJob(receiver.url);
    const event = eventOf(job, Date.now() + 1_000);
    await dispatcher.accept([event]);
    await ground.sql("select dispatcher.cancel($1, now())", [job.uid]);
    await untilAwake(job);
  });

  test("is EXHAUSTED without another attempt, because it is too old", async () => {
    const policy = { ...once, maxAge: "1s" };
    const job = await sleepingJob(receiver.url, { retryPolicy: policy });
    const event = eventOf(job, Date.now() - 60_000);
    await dispatcher.accept([event]);
    await untilAwake(job);
  });

  test("retries, only at the end", async () => {
    const looked = Promise.withResolvers<void>();
    receiver.answer("/twice", async (number) => {
      if (number === 1) return { status: 500 };
      await looked.promise;
      return { status: 200 };
    });
    const policy = { ...once, maxAttempts: 2, minBackoff: "0.5s", maxBackoff: "0.5s" };
    const job = await sleepingJob(`${receiver.url}/twice`, { retryPolicy: policy });
    const event = eventOf(job, Date.now());
    const [first, second] = [1, 2].map((attempts) => untilRecorded(dispatcher.events, [event], attempts));
    await dispatcher.accept([event]);
    await first;
    expect(await isAwake(job)).toBe(false);
    looked.resolve();
    await second;
    await untilAwake(job);
  });
});
