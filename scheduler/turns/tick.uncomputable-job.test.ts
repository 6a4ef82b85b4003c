import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ListJobsRequestSchema, UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { deleteJob, pauseJob, resumeJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import { listJobs } from "../reading/list-jobs.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "./tick.ts";

const START = Date.UTC(2026, 0, 1);

let bench: SchedulerBench;
let good: JobRow;
let bad: JobRow;
beforeEach(async () => {
  bench = await openBench(START);
  good = await bench.createJob(everySecond("good"));
  bad = await bench.createJob(everySecond("bad"));
});
afterEach(() => bench.close());

/** Makes the stored specification of a job one that names a zone which this process does not know. */
async function spoil({ uid }: JobRow): Promise<void> {
  const { adminUrl } = bench;
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(
    `update scheduler.revisions set spec = replace(spec, '"timeZone":"UTC"', '"timeZone":"Asia/Gone"')
      where job_uid = $1`,
    [uid],
  );
  await client.end();
}

/** A scheduler that has compiled nothing yet, and tells of what cannot be computed. */
function fresh() {
  const troubles: string[] = [];
  const parts = { ...bench.parts, schedules: createScheduleCache(100, bench.parts.zoneData) };
  const onTrouble = (jobUid: string) => troubles.push(jobUid);
  return { parts, troubles, tick: createTick({ ...parts, onTrouble, onMissed: () => {} }) };
}

const again = async ({ uid }: JobRow): Promise<JobRow> => {
  const [row] = await bench.parts.database.query(jobByUid, [PROJECT, uid]);
  if (row === undefined) throw new Error("The job is gone.");
  return row;
};

describe("a job whose fire times cannot be computed", () => {
  test("is reported, is tried again after a minute, and delays no other job", async () => {
    await spoil(bad);
    const { tick, troubles } = fresh();
    bench.setTime(START + 1_000);
    for (let looks = 0; looks < 3; looks++) await tick.run();
    expect(troubles).toEqual([bad.uid]);
    expect((await bench.triggersOf(good.uid)).length).toBeGreaterThan(0);
    bench.setTime(START + 62_000);
    await tick.run();
    expect(troubles).toEqual([bad.uid, bad.uid]);
    // Its schedule has not ended: the cursor is where it was.
    expect(await again(bad)).toMatchObject({ state: "ACTIVE", next_fire_time: bad.next_fire_time });
    const { jobs } = await listJobs(fresh().parts, PROJECT, create(ListJobsRequestSchema));
    expect(jobs.map(({ name, nextFireTime }) => [name, nextFireTime !== undefined])).toEqual([
      ["bad", false],
      ["good", true],
    ]);
  });

  test("delays no other job when its pause ends", async () => {
    const until = START + 10_000;
    for (const name of ["good", "bad"])
      await pauseJob(bench.parts, { projectId: PROJECT, name }, { note: "", untilMs: until });
    await spoil(bad);
    const { tick, troubles } = fresh();
    bench.setTime(until);
    await tick.run();
    await tick.run();
    expect(troubles).toEqual([bad.uid]);
    expect((await again(good)).state).toBe("ACTIVE");
    expect((await again(bad)).state).toBe("PAUSED");
  });

  test("can be paused, deleted and repaired by an update, and the error says why it cannot be resumed", async () => {
    await spoil(bad);
    const { parts } = fresh();
    const reference = { projectId: PROJECT, name: "bad" };
    expect(await pauseJob(parts, reference, { note: "", untilMs: null })).toMatchObject({ state: "PAUSED" });
    await expect(resumeJob(parts, reference)).rejects.toMatchObject({ reason: "TIME_ZONE_UNKNOWN" });
    const job = { name: "bad", schedules: everySecond("bad").schedules ?? [] };
    const mended = await updateJob(parts, PROJECT, create(UpdateJobRequestSchema, { job }));
    expect(mended.row).toMatchObject({ state: "PAUSED", revision: 2 });
    await spoil(good);
    expect(await deleteJob(fresh().parts, { projectId: PROJECT, name: "good" })).toMatchObject({
      state: "DELETED",
    });
  });
});

test("a job whose specification cannot be read can be paused and deleted", async () => {
  await bench.spoil("scheduler", "update scheduler.revisions set spec = '\"nonsense\"' where job_uid = $1", [
    bad.uid,
  ]);
  const { parts } = fresh();
  const reference = { projectId: PROJECT, name: "bad" };
  expect(await pauseJob(parts, reference, { note: "", untilMs: null })).toMatchObject({ state: "PAUSED" });
  expect(await deleteJob(parts, reference)).toMatchObject({ state: "DELETED" });
});

test("the ends of many long pauses are handled in several turns", async () => {
  const until = START + 40 * 86_400_000;
  for (const name of ["good", "bad"])
    await pauseJob(bench.parts, { projectId: PROJECT, name }, { note: "", untilMs: until });
  bench.setTime(until - 4_000);
  const states = async () => [(await again(good)).state, (await again(bad)).state].sort();
  expect(await bench.tick.run()).toMatchObject({ more: true });
  expect(await states()).toEqual(["ACTIVE", "PAUSED"]);
  while ((await bench.tick.run()).more);
  expect(await states()).toEqual(["ACTIVE", "ACTIVE"]);
});

test("fire times after a job's last one do not count as skipped by a pause", async () => {
  const job = await bench.createJob({ ...everySecond("limited"), maxFires: 1 });
  bench.setTime(START + 1_000);
  while ((await bench.tick.run()).more);
  const until = START + 5_000;
  await pauseJob(bench.parts, { projectId: PROJECT, name: "limited" }, { note: "", untilMs: until });
  bench.setTime(until);
  while ((await bench.tick.run()).more);
  expect((await again(job)).carry.skipped ?? 0).toBe(0);
});

test("a rate keeps its anchor when its interval is changed, or its place among others", async () => {
  const anchorTime = timestampFromMs(START + 7);
  const rate = (seconds: number, anchor?: typeof anchorTime) => ({
    kind: {
      case: "rate" as const,
      value: { every: { seconds: BigInt(seconds) }, ...(anchor && { anchorTime: anchor }) },
    },
  });
  const { target } = everySecond("rated");
  await bench.createJob({ name: "rated", schedules: [rate(90, anchorTime)], ...(target && { target }) });
  bench.setTime(START + 5_000);
  const update = async (...schedules: ReturnType<typeof rate>[]) => {
    const job = { name: "rated", schedules };
    return (await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, { job }))).schedule;
  };
  const isAnchored = (at: number | null, everyMs: number) => ((at ?? 0) - START - 7) % everyMs === 0;
  expect(isAnchored((await update(rate(60))).nextAfter(START + 5_000), 60_000)).toBe(true);
  const moved = await update(rate(3_600, timestampFromMs(START)), rate(60));
  expect(isAnchored(moved.nextAfter(START + 5_000), 60_000)).toBe(true);
});
