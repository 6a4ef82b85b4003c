import { afterEach, beforeEach, expect, test } from "vitest";
import type { Database } from "../../db/pool.ts";
import { everySecond, openBench, type SchedulerBench } from "../testing/bench.ts";
import { findDueWork } from "./claim.ts";
import { createTick } from "./tick.ts";

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

test("a tick that finds nothing due asks PostgreSQL once, and begins a transaction every five seconds only", async () => {
  await bench.createJob({
    name: "later",
    schedules: [{ kind: { case: "cron", value: { expression: "0 0 1 1 *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
  });
  let statements = 0;
  let transactions = 0;
  const { database } = bench.parts;
  const counting: Database = {
    ...database,
    query: (statement, values) => {
      statements += 1;
      return database.query(statement, values);
    },
    transaction: (work) => {
      transactions += 1;
      return database.transaction(work);
    },
  };
  const onTrouble = (_: string, error: unknown) => {
    throw error;
  };
  const tick = createTick({ ...bench.parts, database: counting, onTrouble });
  await tick.run();
  [statements, transactions] = [0, 0];
  for (let now = START + 250; now <= START + MINUTE; now += 250) {
    bench.setTime(now);
    await tick.run();
  }
  expect(statements).toBe(MINUTE / 250);
  expect(transactions).toBeLessThanOrEqual(MINUTE / 5_000);
});

test("a job that becomes due is found by the next tick, also when it is late already", async () => {
  const job = await bench.createJob(everySecond("job"));
  await bench.tick.run();
  bench.setTime(START + 30_000);
  expect((await bench.tick.run()).events).toBeGreaterThan(20);
  expect((await bench.triggersOf(job.uid)).at(-1)?.atMs).toBe(START + 35_000);
});

test("a job that is set aside is nothing to claim before its wake time", async () => {
  const job = await bench.createJob(everySecond("job"));
  const times = { untilMs: START, lateMs: START - MINUTE, lateFromMs: START - 2 * MINUTE };
  const wakeAt = (ms: number) =>
    bench.spoil("scheduler", "update scheduler.jobs set wake_time = $1", [new Date(ms)]);
  await bench.spoil(
    "scheduler",
    `insert into scheduler.set_aside (kind, id, project_id, problem, error, failures, first_time, last_time, retry_time)
     values ('job', $1, 'proj_test', 'It cannot be read.', 'Error', 1, $2, $2, $2)`,
    [job.uid, new Date(START)],
  );
  await wakeAt(START + MINUTE);
  expect((await findDueWork(bench.parts.database, times)).setAside).toBe(false);
  await wakeAt(START);
  expect((await findDueWork(bench.parts.database, times)).setAside).toBe(true);
});
