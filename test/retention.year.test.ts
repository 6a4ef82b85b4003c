import { create } from "@bufbuild/protobuf";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPool, type Pool } from "../db/pool.ts";
import { createEvents } from "../dispatcher/events/events.ts";
import { createPartitions } from "../dispatcher/housekeeping.ts";
import { createRetention } from "../dispatcher/retention/retention.ts";
import { Verdict } from "../gen/easycron/v1/ledger_pb.ts";
import { ListFireTimesRequestSchema } from "../gen/easycron/v1/ledger_service_pb.ts";
import { auditJob } from "../scheduler/audit/audit-ledger.ts";
import type { JobRow } from "../scheduler/job/job.ts";
import { listFireTimes } from "../scheduler/ledger/list-fire-times.ts";
import { openBench, type SchedulerBench } from "../scheduler/testing/bench.ts";

const DAY_MS = 86_400_000;
const STEP_MS = DAY_MS;
const START = Date.UTC(2027, 0, 10);

let bench: SchedulerBench;
let database: Pool;
let admin: pg.Pool;

beforeAll(async () => {
  bench = await openBench(START);
  database = createPool({ connectionString: bench.adminUrl, max: 3, applicationName: "test" });
  admin = new pg.Pool({ connectionString: bench.adminUrl, max: 1 });
});

afterAll(async () => {
  await database.close();
  await admin.end();
  await bench.close();
});

/** The days that each project keeps; 0 if it has never said so. */
const DAYS = new Map([
  ["proj_week", 7],
  ["proj_usual", 0],
  ["proj_quarter", 90],
]);

test("over a year, each project has the triggers of its days, its dead letters, and a ledger without differences", async () => {
  let nowMs = START;
  const clock = { now: () => nowMs };
  const events = createEvents();
  const [made, dropped]: [string[], string[]] = [[], []];
  events.on("partitionMade", ({ partition }) => made.push(partition));
  events.on("partitionDropped", ({ partition }) => dropped.push(partition));
  const partitions = createPartitions({ database, clock, events });
  const removeExpired = createRetention({ database, clock, events, mayGoOn: () => true, graceMs: 0 });
  const jobs: JobRow[] = [];
  for (const [project, days] of DAYS) {
    if (days > 0)
      await admin.query("insert into dispatcher.retention (project_id, days) values ($1, $2)", [
        project,
        days,
      ]);
    jobs.push(await bench.createJob(everyDay("job"), project));
  }
  await partitions.make();
  for (let step = 1; step <= 366; step++) {
    nowMs = START + step * STEP_MS + 1_000;
    bench.setTime(nowMs);
    await bench.tick.run();
    for (const job of jobs) {
      const last = new Date(nowMs).getUTCDate() === 1 ? (await bench.triggersOf(job.uid)).at(-1) : undefined;
      if (last !== undefined) await bench.finish(last.id, "EXHAUSTED");
      await bench.succeed(job.uid);
    }
    if (step % 10 !== 0) continue;
    await partitions.make();
    await removeExpired();
    for (const job of jobs) await expectComplete(job, nowMs);
  }
  // Each month was made ahead, and dropped when its last dead letter was old enough.
  expect(dropped.length).toBeGreaterThanOrEqual(5);
  const { rows } = await admin.query("select count(*)::integer as count from dispatcher.triggers_default");
  expect(rows).toEqual([{ count: 0 }]);
  expect(new Set(dropped).size).toBe(dropped.length);
  expect(made.filter((name) => dropped.includes(name)).length).toBe(dropped.length);
}, 180_000);

async function expectComplete(job: JobRow, nowMs: number): Promise<void> {
  const days = DAYS.get(job.project_id) || 30;
  const triggers = await bench.triggersOf(job.uid);
  const { rows } = await admin.query(
    "select extract(epoch from floor_time) * 1000 as floor from dispatcher.retention where project_id = $1",
    [job.project_id],
  );
  const floorMs = Math.max(START, Number(rows[0]?.floor ?? START));
  // The ledger has every fire time from the floor on.
  const page = await listFireTimes(
    bench.parts,
    job.project_id,
    create(ListFireTimesRequestSchema, { job: "job", pageSize: 1_000 }),
  );
  const expected =
    Math.floor((nowMs - START) / STEP_MS) -
    Math.floor((Math.ceil(floorMs / STEP_MS) * STEP_MS - START) / STEP_MS);
  expect(page.fireTimes?.length).toBe(floorMs === START ? expected : expected + 1);
  expect(page.fireTimes?.filter(({ verdict }) => verdict !== Verdict.TRIGGERED)).toEqual([]);
  expect(await auditJob(bench.parts, job, START, nowMs)).toMatchObject({ differences: [] });
  // Before it, there are dead letters of twice the days, and what the last hour has yet to remove.
  const before = triggers.filter(({ atMs }) => atMs < floorMs);
  expect(before.filter(({ state, atMs }) => state !== "EXHAUSTED" && atMs < floorMs - STEP_MS)).toEqual([]);
  expect(before.filter(({ atMs }) => atMs < nowMs - (2 * days + 1) * DAY_MS)).toEqual([]);
  expect(triggers.length).toBeLessThanOrEqual(days + 12);
  const firsts = triggers.filter(
    ({ state, atMs }) => state === "EXHAUSTED" && atMs > nowMs - 2 * days * DAY_MS,
  );
  const months = new Set(firsts.map(({ atMs }) => new Date(atMs).toISOString().slice(0, 7)));
  expect(months.size).toBe(firsts.length);
  const oldestMs = Math.max(START, nowMs - 2 * days * DAY_MS);
  expect(firsts.length).toBe(firstsOfMonths(oldestMs, nowMs));
}

/** How many first days of a month began after one instant and before another. */
function firstsOfMonths(afterMs: number, beforeMs: number): number {
  const monthOf = (ms: number) => 12 * new Date(ms).getUTCFullYear() + new Date(ms).getUTCMonth();
  return monthOf(beforeMs) - monthOf(afterMs);
}

function everyDay(name: string): Parameters<SchedulerBench["createJob"]>[0] {
  return {
    name,
    schedules: [{ kind: { case: "cron", value: { expression: "0 0 * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
  };
}
