import { create } from "@bufbuild/protobuf";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ApplyJobsRequestSchema } from "../../gen/easycron/v1/job_batch_pb.ts";
import { JobSchema, OverlapPolicy } from "../../gen/easycron/v1/job_pb.ts";
import { applyJobs } from "../batch/apply.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import { readJob } from "../reading/read-jobs.ts";
import { readPolicies } from "../schedules/policies.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "../turns/tick.ts";
import { pauseJob, resumeJob } from "./pause-job.ts";

const START = Date.UTC(2026, 0, 1);
const MONTH = 30 * 86_400_000;
const reference = { projectId: PROJECT, name: "payroll" };
const minutely = {
  name: "payroll",
  labels: { team: "billing" },
  schedules: [{ kind: { case: "cron" as const, value: { expression: "* * * * *" } } }],
  target: { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } },
};

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

test("a pause of a month is stored as one range, although the job fires every minute", async () => {
  const job = await bench.createJob(minutely);
  await pauseJob(bench.parts, reference, { note: "", untilMs: null });
  bench.setTime(START + MONTH);
  await resumeJob(bench.parts, reference);
  const client = new pg.Client({ connectionString: bench.adminUrl });
  await client.connect();
  const count = async (table: string) =>
    Number((await client.query(`select count(*) from ${table} where job_uid = $1`, [job.uid])).rows[0].count);
  // Before the pause, the pause, and since.
  expect([await count("scheduler.epochs"), await count("scheduler.skips")]).toEqual([3, 0]);
  await client.end();
});

test("a pause keeps its note and its end through ApplyJobs, and another scheduler respects it", async () => {
  const job = await bench.createJob(minutely);
  const untilMs = START + MONTH;
  await pauseJob(bench.parts, reference, { note: "holiday", untilMs });
  const jobs = [create(JobSchema, { ...minutely, maxFires: 7 })];
  const request = create(ApplyJobsRequestSchema, { labels: { team: "billing" }, jobs });
  expect((await applyJobs(bench.parts, PROJECT, request, "")).updated).toEqual(["payroll"]);
  const kept = { state: "PAUSED", pause_note: "holiday", pause_until: untilMs, revision: 2 };
  expect(await readJob(bench.parts, PROJECT, reference)).toMatchObject(kept);
  bench.setTime(START + 600_000);
  const schedules = createScheduleCache(10, bench.parts.zoneData);
  await createTick({ ...bench.parts, schedules, onTrouble: () => {} }).run();
  expect(await bench.triggersOf(job.uid)).toEqual([]);
  expect(await readJob(bench.parts, PROJECT, reference)).toMatchObject(kept);
});

test("policies that a job does not set have their defaults, also the size of its buffer", () => {
  const said = (overlapPolicy: OverlapPolicy) => readPolicies(create(JobSchema, { overlapPolicy }));
  expect(said(OverlapPolicy.UNSPECIFIED)).toMatchObject({
    misfire: "FIRE_ALL",
    catchupWindowMs: 3_600_000,
    maxCatchup: 100,
    overlap: "ALLOW_ALL",
  });
  expect(said(OverlapPolicy.BUFFER_ONE).bufferRoom).toBe(1);
  expect(said(OverlapPolicy.BUFFER_ALL).bufferRoom).toBe(1_000);
});
