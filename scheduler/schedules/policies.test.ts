import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { JobSchema, JobState } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { deleteJob, pauseJob, resumeJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { presentJob, readJob } from "../reading/read-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";

// A Monday.
const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const reference = { projectId: PROJECT, name: "payroll" };

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(async () => {
  const row = await readJob(bench.parts, PROJECT, reference).catch(() => undefined);
  const audit = row && (await auditJob(bench.parts, row, START, bench.parts.clock.now()));
  expect(audit?.differences ?? []).toEqual([]);
  await bench.close();
});

/** A job that fires every minute. */
const make = (fields: JsonObject = {}): Promise<JobRow> =>
  bench.createJob(
    fromJson(JobSchema, {
      name: "payroll",
      schedules: [{ cron: { expression: "* * * * *" } }],
      target: { webhook: { url: "https://example.com/" } },
      ...fields,
    }),
  );
/** Ticks at an instant, in minutes from the start. */
const at = async (minutes: number) => {
  bench.setTime(START + minutes * MINUTE);
  while ((await bench.tick.run()).more);
};
const minutes = async (job: JobRow) =>
  (await bench.triggersOf(job.uid)).map(({ atMs }) => (atMs - START) / MINUTE);
const present = async () => presentJob(bench.parts, await readJob(bench.parts, PROJECT, reference));
const update = (fields: JsonObject) =>
  updateJob(
    bench.parts,
    PROJECT,
    create(UpdateJobRequestSchema, { job: fromJson(JobSchema, { name: "payroll", ...fields }) }),
  );

describe("maxFires", () => {
  test("finishes the job at its last fire, and the job says how many fires are left", async () => {
    const job = await make({ maxFires: 2 });
    await at(1);
    expect(await present()).toMatchObject({ state: JobState.ACTIVE, remainingFires: 1 });
    await at(1.95);
    expect(await present()).toMatchObject({ state: JobState.ACTIVE, remainingFires: 0 });
    await at(2);
    const finished = await present();
    expect(finished.state).toBe(JobState.FINISHED);
    expect(finished.nextFireTime).toBeUndefined();
    await at(10);
    expect(await minutes(job)).toEqual([1, 2]);
  });

  test("can be raised, and the job continues", async () => {
    const job = await make({ maxFires: 1 });
    await at(3);
    await update({ maxFires: 2 });
    expect((await present()).state).toBe(JobState.ACTIVE);
    await at(10);
    expect(await minutes(job)).toEqual([1, 4]);
  });

  test("an ended schedule also finishes a job, but a job without schedules never finishes", async () => {
    await make({ schedules: [{ once: { time: "2026-03-02T09:01:00Z" } }] });
    await at(2);
    expect((await present()).state).toBe(JobState.FINISHED);
    const manual = await make({ name: "manual", schedules: [] });
    expect(manual.state).toBe("ACTIVE");
  });
});

describe("a pause with an end", () => {
  test("ends on its own: a fire time at that very instant fires on time, and none before it", async () => {
    const job = await make();
    await pauseJob(bench.parts, reference, { note: "lunch", untilMs: START + 3 * MINUTE });
    await at(2.95);
    expect((await present()).state).toBe(JobState.PAUSED);
    expect(await minutes(job)).toEqual([3]);
    await at(3);
    expect((await present()).state).toBe(JobState.ACTIVE);
    await at(4);
    expect(await minutes(job)).toEqual([3, 4]);
    expect((await bench.triggersOf(job.uid))[0]).toMatchObject({ seq: 1, skipped: 2, missed: 0 });
  });

  test("may be changed until its end, even just before it", async () => {
    const job = await make();
    await pauseJob(bench.parts, reference, { note: "", untilMs: START + 3 * MINUTE });
    await at(2.95);
    await pauseJob(bench.parts, reference, { note: "", untilMs: START + 5 * MINUTE });
    await at(4);
    expect(await minutes(job)).toEqual([]);
    await at(4.95);
    await resumeJob(bench.parts, reference);
    await at(6);
    expect(await minutes(job)).toEqual([5, 6]);
    expect((await bench.triggersOf(job.uid))[0]).toMatchObject({ skipped: 4 });
  });

  test("must end later than now", async () => {
    await make();
    const refused = pauseJob(bench.parts, reference, { note: "", untilMs: START });
    await expect(refused).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "until" }],
    });
  });
});

describe("a fire time that an outage made late", () => {
  test("is caught up in order at a limited rate as CATCHUP; what is not caught up is missed and reported", async () => {
    const job = await make({ maxCatchup: 3, catchupWindow: "600s" });
    await at(20.5);
    const triggers = await bench.triggersOf(job.uid);
    expect(triggers.map(({ atMs, kind }) => [(atMs - START) / MINUTE, kind])).toEqual([
      [18, "CATCHUP"],
      [19, "CATCHUP"],
      [20, "CATCHUP"],
    ]);
    const due = triggers.map(({ effectiveMs }) => effectiveMs - START - 20.5 * MINUTE);
    expect(due).toEqual([0, 20, 40]);
    expect(triggers[0]).toMatchObject({ seq: 1, missed: 17, skipped: 0 });
    expect(bench.missed.map(({ reason, count }) => [reason, count])).toEqual([
      ["CATCHUP_WINDOW", 10],
      ["CATCHUP_LIMIT", 7],
    ]);
  });

  test("is decided before a change, by the policies from before", async () => {
    const job = await make({ misfirePolicy: "MISFIRE_POLICY_FIRE_LATEST" });
    bench.setTime(START + 5.5 * MINUTE);
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    expect(await minutes(job)).toEqual([5]);
    expect((await bench.triggersOf(job.uid))[0]).toMatchObject({ kind: "CATCHUP", missed: 4 });
  });

  test("never delays a fire time that is on time, which is handed over first", async () => {
    const late = await make({ name: "late" });
    bench.setDispatcherDown(true);
    bench.setTime(START + 30 * MINUTE);
    const other = await make({ name: "other" });
    bench.setTime(START + 31 * MINUTE);
    bench.setDispatcherDown(false);
    await bench.tick.run();
    expect((await bench.triggersOf(other.uid)).map(({ kind }) => kind)).toEqual(["SCHEDULED"]);
    expect(await bench.triggersOf(late.uid)).toHaveLength(31);
  });
});

describe("an overlapping fire time", () => {
  test("is skipped with SKIP, and decided only at its time", async () => {
    const job = await make({ overlapPolicy: "OVERLAP_POLICY_SKIP" });
    await at(0.99);
    expect(await minutes(job)).toEqual([]);
    await at(1);
    await at(2);
    await at(3);
    expect(await minutes(job)).toEqual([1]);
    await bench.succeed(job.uid);
    await at(4);
    expect(await minutes(job)).toEqual([1, 4]);
    expect((await bench.triggersOf(job.uid))[1]).toMatchObject({ seq: 2, skipped: 2 });
  });

  test("waits with BUFFER_ONE, one at a time, and is delivered when the earlier trigger has ended", async () => {
    const job = await make({ overlapPolicy: "OVERLAP_POLICY_BUFFER_ONE" });
    for (const minute of [1, 2, 3, 4]) await at(minute);
    expect(await minutes(job)).toEqual([1]);
    bench.setTime(START + 4.2 * MINUTE);
    await bench.succeed(job.uid);
    await at(4.5);
    const [, second] = await bench.triggersOf(job.uid);
    expect(second).toMatchObject({ atMs: START + 2 * MINUTE, kind: "SCHEDULED", seq: 2, skipped: 2 });
    expect(second?.effectiveMs).toBe(START + 4.5 * MINUTE);
  });

  test("is decided once when two schedulers run", async () => {
    const job = await make({ overlapPolicy: "OVERLAP_POLICY_SKIP" });
    for (let minute = 1; minute <= 5; minute++) {
      bench.setTime(START + minute * MINUTE);
      await Promise.all([bench.tick.run(), bench.tick.run(), bench.tick.run()]);
    }
    expect(await minutes(job)).toEqual([1]);
  });

  test("keeps waiting after an update, and is skipped by a pause", async () => {
    const job = await make({ overlapPolicy: "OVERLAP_POLICY_BUFFER_ALL" });
    for (const minute of [1, 2, 3]) await at(minute);
    await update({ payload: "new" });
    await bench.succeed(job.uid);
    await at(3.5);
    expect((await bench.triggersOf(job.uid)).map(({ revision }) => revision)).toEqual([1, 2]);
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    await bench.succeed(job.uid);
    await at(5);
    expect(await minutes(job)).toEqual([1, 2]);
  });
});

describe("a turn whose commit was lost makes the same decision again", () => {
  const lose = async (minute: number) => {
    bench.setAnswerLost(true);
    bench.setTime(START + minute * MINUTE);
    await expect(bench.tick.run()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
    bench.setAnswerLost(false);
  };

  test("although its own trigger now counts as an overlap", async () => {
    const job = await make({ overlapPolicy: "OVERLAP_POLICY_SKIP" });
    await lose(1);
    await at(1.01);
    expect((await readJob(bench.parts, PROJECT, reference)).last_seq).toBe(1);
    await bench.succeed(job.uid);
    await at(2);
    expect((await bench.triggersOf(job.uid)).map(({ seq, skipped }) => [seq, skipped])).toEqual([
      [1, 0],
      [2, 0],
    ]);
  });

  test("although it is late by now and would be missed", async () => {
    const job = await make({ misfirePolicy: "MISFIRE_POLICY_SKIP" });
    await lose(1);
    await at(3);
    expect(await minutes(job)).toEqual([1, 3]);
    expect((await bench.triggersOf(job.uid))[1]).toMatchObject({ seq: 2, missed: 1 });
  });

  test("although a change comes first", async () => {
    const job = await make({ misfirePolicy: "MISFIRE_POLICY_SKIP" });
    await lose(1);
    bench.setTime(START + 2.5 * MINUTE);
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    expect(await minutes(job)).toEqual([1]);
    await resumeJob(bench.parts, reference);
    await at(3);
    expect((await bench.triggersOf(job.uid))[1]).toMatchObject({ seq: 2, missed: 1, skipped: 0 });
  });
});

test("a deleted job has no fire times, and its waiting ones have a verdict", async () => {
  const job = await make({ overlapPolicy: "OVERLAP_POLICY_BUFFER_ONE" });
  await at(1);
  await at(2);
  await deleteJob(bench.parts, reference);
  await at(5);
  expect(await minutes(job)).toEqual([1]);
  const audit = await auditJob(bench.parts, job, START, START + 5 * MINUTE);
  expect(audit).toMatchObject({ fireTimeCount: 2, differences: [] });
});
