import { afterEach, beforeEach, expect, test } from "vitest";
import { MisfirePolicy } from "../../gen/easycron/v1/job_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "./tick.ts";

const START = Date.UTC(2026, 0, 1);
const FIRE_TIME = START + 60_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

test("a fire time that becomes late between two readings of the clock is not missed if its trigger exists", async () => {
  const job = await bench.createJob({
    name: "job",
    schedules: [{ kind: { case: "cron", value: { expression: "* * * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    misfirePolicy: MisfirePolicy.SKIP,
  });
  bench.setTime(FIRE_TIME - 4_000);
  bench.setAnswerLost(true);
  await expect(bench.tick.run()).rejects.toThrow();
  bench.setAnswerLost(false);
  expect(await bench.triggersOf(job.uid)).toHaveLength(1);
  // Each reading is a millisecond later than the one before. The fire time is late from the third reading on.
  let nowMs = FIRE_TIME + 9_998;
  const clock = { now: () => ++nowMs };
  const onTrouble = (_: string, error: unknown) => {
    throw error;
  };
  await createTick({ ...bench.parts, clock, onTrouble }).run();
  expect(bench.missed).toEqual([]);
  bench.setTime(FIRE_TIME + 20_000);
  const audit = await auditJob(bench.parts, { uid: job.uid, project_id: PROJECT }, START, FIRE_TIME + 15_000);
  expect(audit?.differences).toEqual([]);
});

test("a clock that jumps back and forth between readings leaves each fire time one verdict", async () => {
  const job = await bench.createJob({
    name: "job",
    schedules: [{ kind: { case: "cron", value: { expression: "* * * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    misfirePolicy: MisfirePolicy.SKIP,
  });
  const jumps = [0, 15_000, -4_000, 9_000, 200, -12_000, 30_000];
  let [baseMs, readings] = [START, 0];
  const clock = { now: () => baseMs + (jumps[readings++ % jumps.length] ?? 0) };
  const onTrouble = (_: string, error: unknown) => {
    throw error;
  };
  const tick = createTick({ ...bench.parts, clock, onTrouble });
  for (let step = 0; step < 120; step++) {
    baseMs += 7_000;
    bench.setAnswerLost(step % 5 === 0);
    await tick.run().catch(() => {});
  }
  bench.setTime(baseMs + 60_000);
  const audit = await auditJob(bench.parts, { uid: job.uid, project_id: PROJECT }, START, baseMs - 60_000);
  expect(audit?.fireTimeCount).toBeGreaterThan(10);
  expect(audit?.differences).toEqual([]);
});
