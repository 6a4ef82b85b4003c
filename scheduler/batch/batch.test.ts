import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Database, Queryable } from "../../db/pool.ts";
import {
  ApplyJobsRequestSchema,
  BatchCreateJobsRequestSchema,
  BatchDeleteJobsRequestSchema,
  BatchPauseJobsRequestSchema,
  BatchResumeJobsRequestSchema,
  BatchUpdateJobsRequestSchema,
} from "../../gen/easycron/v1/job_batch_pb.ts";
import { type JobSchema, JobState } from "../../gen/easycron/v1/job_pb.ts";
import { ListJobsRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import type { WrittenJob } from "../changes/create-job.ts";
import { lockJob } from "../changes/lock-job.ts";
import { pauseJob, resumeJob } from "../changes/pause-job.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import type { Parts } from "../parts.ts";
import { listJobs } from "../reading/list-jobs.ts";
import { readJob } from "../reading/read-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { applyJobs } from "./apply.ts";
import { batchDeleteJobs, batchUpdateJobs } from "./change.ts";
import { batchCreateJobs } from "./create.ts";
import { batchPauseJobs, batchResumeJobs } from "./pause.ts";

const START = Date.UTC(2026, 2, 1, 9);
type JobInit = Pick<MessageInitShape<typeof JobSchema>, "labels" | "calendars" | "schedules">;
const job = (name: string, expression = "0 9 * * *", more: JobInit = {}) => ({
  name,
  schedules: [{ kind: { case: "cron" as const, value: { expression } } }],
  target: { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } },
  ...more,
});
type Given = ReturnType<typeof job>;

const STATES = new Map<number, string>(Object.entries(JobState).map(([name, value]) => [value, name]));

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

const make = (
  jobs: Given[],
  more: MessageInitShape<typeof BatchCreateJobsRequestSchema> = {},
  parts: Parts = bench.parts,
) => {
  const request = { requests: jobs.map((each) => ({ job: each })), ...more };
  return batchCreateJobs(parts, PROJECT, create(BatchCreateJobsRequestSchema, request), "key_a");
};
const list = async () => {
  const request = create(ListJobsRequestSchema, { pageSize: 500 });
  return (await listJobs(bench.parts, PROJECT, request)).jobs;
};
const states = async () =>
  Object.fromEntries((await list()).map(({ name, state }) => [name, STATES.get(state)]));

/** Returns how many statements `work` sends. */
async function countStatements(work: (parts: Parts) => Promise<void>): Promise<number> {
  let statements = 0;
  const counted = (on: Queryable): Queryable => ({
    query: (...given) => {
      statements += 1;
      return on.query(...given);
    },
  });
  const { database } = bench.parts;
  const transaction: Database["transaction"] = (change) => database.transaction((tx) => change(counted(tx)));
  await work({ ...bench.parts, database: { ...database, ...counted(database), transaction } });
  return statements;
}

describe("a batch of new jobs", () => {
  test("is created by one SQL statement, and its jobs fire", async () => {
    const second = [
      { kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 as const } } },
    ];
    const jobs = Array.from({ length: 1_000 }, (_, index) => job(`job-${index}`, "", { schedules: second }));
    const made: WrittenJob[] = [];
    expect(await countStatements(async (parts) => void made.push(...(await make(jobs, {}, parts))))).toBe(1);
    expect(made).toHaveLength(1_000);
    while ((await bench.tick.run()).more);
    const [first] = made;
    expect(await bench.triggersOf(first?.row.uid ?? "")).toHaveLength(5);
    const read = await readJob(bench.parts, PROJECT, { name: "job-0" });
    expect({
      ...read,
      spec: "",
      wake_time: 0,
      next_fire_time: 0,
      last_fire_time: 0,
      last_seq: 0,
      carry: {},
    }).toEqual({
      ...first?.row,
      ...{ spec: "", wake_time: 0, next_fire_time: 0, last_fire_time: 0, last_seq: 0, carry: {} },
    });
  });

  test("is refused as a whole, and the error names what is wrong with each job", async () => {
    await bench.createJob(job("taken"));
    await expect(
      make([job("good"), job("bad", "nonsense"), job("worse", "60 * * * *")]),
    ).rejects.toMatchObject({
      reason: "SCHEDULE_INVALID",
      metadata: { field: "requests[1].job.schedules[0].cron.expression" },
      violations: [
        { field: "requests[1].job.schedules[0].cron.expression" },
        { field: expect.stringContaining("requests[2].job.schedules[0].cron.expression") },
      ],
    });
    for (const validateOnly of [true, false]) {
      await expect(make([job("good"), job("taken")], { validateOnly })).rejects.toMatchObject({
        reason: "JOB_ALREADY_EXISTS",
        violations: [{ field: "requests[1].job.name" }],
      });
    }
    await expect(make([job("good"), job("good")])).rejects.toMatchObject({
      violations: [{ field: "requests[1].job.name", description: expect.stringContaining("requests[0]") }],
    });
    const calendars = [{ name: "none" }];
    await expect(make([job("good"), job("bound", "0 9 * * *", { calendars })])).rejects.toMatchObject({
      reason: "CALENDAR_NOT_FOUND",
      violations: [{ field: "requests[1].job.calendars[0].name" }],
    });
    expect((await list()).map(({ name }) => name)).toEqual(["taken"]);
  });

  test("can be repeated under its request id", async () => {
    const first = await make([job("a"), job("b")], { requestId: "once" });
    const again = await make([job("a"), job("b")], { requestId: "once" });
    expect(again.map(({ row }) => row.uid)).toEqual(first.map(({ row }) => row.uid));
    await expect(make([job("c")], { requestId: "once" })).rejects.toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
  });

  test("stores nothing when it is only validated", async () => {
    expect(await make([job("a"), job("b")], { validateOnly: true })).toHaveLength(2);
    expect(await list()).toEqual([]);
  });
});

describe("a batch of changes", () => {
  const update = (jobs: Given[], validateOnly = false) => {
    const requests = jobs.map((each) => ({ job: each, updateMask: { paths: ["schedules"] } }));
    const request = create(BatchUpdateJobsRequestSchema, { requests, validateOnly });
    return batchUpdateJobs(bench.parts, PROJECT, request, "key_a");
  };

  test("takes effect as a whole, or not at all when one change is invalid", async () => {
    await make([job("a"), job("b")]);
    await expect(update([job("a", "0 8 * * *"), job("none", "0 8 * * *")])).rejects.toMatchObject({
      reason: "JOB_NOT_FOUND",
      violations: [{ field: "requests[1]" }],
    });
    expect((await readJob(bench.parts, PROJECT, { name: "a" })).revision).toBe(1);
    const changed = await update([job("a", "0 8 * * *"), job("b", "0 8 * * *")]);
    expect(changed.map(({ row }) => [row.name, row.revision])).toEqual([
      ["a", 2],
      ["b", 2],
    ]);
  });

  test("takes the same few statements for 100 jobs as for one, and leaves alone what does not differ", async () => {
    await make(Array.from({ length: 101 }, (_, index) => job(`job-${index}`)));
    const count = (names: string[]) =>
      countStatements(async (parts) => {
        const requests = names.map((name) => ({
          job: job(name, name === "job-7" ? "0 9 * * *" : "0 8 * * *"),
          updateMask: { paths: ["schedules"] },
        }));
        const request = create(BatchUpdateJobsRequestSchema, { requests });
        const updated = await batchUpdateJobs(parts, PROJECT, request, "key_b");
        expect(updated.map(({ row }) => [row.name, row.revision])).toEqual(
          names.map((name) => [name, name === "job-7" ? 1 : 2]),
        );
      });
    const few = await count(["job-0"]);
    expect(few).toBeLessThan(16);
    expect(await count(Array.from({ length: 100 }, (_, index) => `job-${index + 1}`))).toBe(few);
  });

  test("with a wrong etag changes no job, and the error names the job", async () => {
    await make([job("a"), job("b")]);
    const requests = ["a", "b"].map((name) => ({
      job: { ...job(name, "0 8 * * *"), etag: name === "b" ? "another" : "" },
      updateMask: { paths: ["schedules"] },
    }));
    const request = create(BatchUpdateJobsRequestSchema, { requests });
    await expect(batchUpdateJobs(bench.parts, PROJECT, request, "key_a")).rejects.toMatchObject({
      reason: "ETAG_MISMATCH",
      violations: [{ field: "requests[1]" }],
    });
    expect((await list()).map(({ revision }) => revision)).toEqual([1, 1]);
  });

  test("deletes all jobs, or none when one does not exist", async () => {
    await make([job("a"), job("b"), job("c")]);
    const remove = (names: string[], allowMissing = false) =>
      batchDeleteJobs(bench.parts, PROJECT, create(BatchDeleteJobsRequestSchema, { names, allowMissing }));
    await expect(remove(["a", "none"])).rejects.toMatchObject({ violations: [{ field: "names[1]" }] });
    expect((await remove(["a", "none", "b"], true)).map(({ name }) => name)).toEqual(["a", "b"]);
    expect(Object.keys(await states())).toEqual(["c"]);
  });
});

describe("a batch of pauses", () => {
  const pause = (request: MessageInitShape<typeof BatchPauseJobsRequestSchema>) =>
    batchPauseJobs(bench.parts, PROJECT, create(BatchPauseJobsRequestSchema, request));
  const resume = (request: MessageInitShape<typeof BatchResumeJobsRequestSchema>) =>
    batchResumeJobs(bench.parts, PROJECT, create(BatchResumeJobsRequestSchema, request));
  const by = (name: string) => ({ projectId: PROJECT, name });

  test("selects by labels, leaves out paused jobs, and can be undone except for jobs changed since", async () => {
    const labels = { team: "billing" };
    await make([job("a", "0 9 * * *", { labels }), job("b", "0 9 * * *", { labels }), job("c")]);
    await make([job("d", "0 9 * * *", { labels })]);
    await pauseJob(bench.parts, by("a"), { note: "mine", untilMs: null });
    const paused = await pause({ labels, note: "holidays" });
    expect(paused.rows.map(({ name }) => name)).toEqual(["b", "d"]);
    expect(await states()).toEqual({ a: "PAUSED", b: "PAUSED", c: "ACTIVE", d: "PAUSED" });
    await resumeJob(bench.parts, by("d"));
    await pauseJob(bench.parts, by("d"), { note: "for another reason", untilMs: null });
    const resumed = await resume({ undoToken: paused.undoToken });
    expect(resumed.rows.map(({ name }) => name)).toEqual(["b"]);
    expect(await states()).toEqual({ a: "PAUSED", b: "ACTIVE", c: "ACTIVE", d: "PAUSED" });
    expect((await pause({ labels })).rows.map(({ name }) => name)).toEqual(["b"]);
  });

  test("selects by a filter, pauses only jobs that are not paused yet, and can be undone", async () => {
    const labels = { team: "billing" };
    await make([job("pay-a", "0 9 * * *", { labels }), job("pay-b"), job("report", "0 9 * * *", { labels })]);
    await pauseJob(bench.parts, by("pay-b"), { note: "mine", untilMs: null });
    const paused = await pause({ filter: 'name = "pay*"', note: "migration" });
    expect(paused.rows.map(({ name }) => name)).toEqual(["pay-a"]);
    expect((await pause({ filter: "state = PAUSED" })).rows).toEqual([]);
    const undone = await resume({ undoToken: paused.undoToken });
    expect(undone.rows.map(({ name }) => name)).toEqual(["pay-a"]);
    await pause({ filter: 'labels.team = "billing" AND target = webhook' });
    expect(await states()).toEqual({ "pay-a": "PAUSED", "pay-b": "PAUSED", report: "PAUSED" });
    const resumed = await resume({ filter: "labels.team:*" });
    expect(resumed.rows.map(({ name }) => name)).toEqual(["pay-a", "report"]);
    await expect(pause({ filter: "pay" })).rejects.toMatchObject({ violations: [{ field: "filter" }] });
    expect(await states()).toEqual({ "pay-a": "ACTIVE", "pay-b": "PAUSED", report: "ACTIVE" });
  });

  test("with a filter affects only jobs of the project", async () => {
    await make([job("a")]);
    const request = create(BatchPauseJobsRequestSchema, { filter: "name = *" });
    expect((await batchPauseJobs(bench.parts, "proj_other", request)).rows).toEqual([]);
    expect(await states()).toEqual({ a: "ACTIVE" });
  });

  test("pauses no disabled job, and resumes those that it selects", async () => {
    await make([job("a"), job("b")]);
    await bench.spoil(
      "scheduler",
      "update scheduler.jobs set state = 'DISABLED', next_fire_time = null, wake_time = null where name = 'b'",
    );
    await pause({ filter: "name = *" });
    expect(await states()).toEqual({ a: "PAUSED", b: "DISABLED" });
    const { rows } = await resume({ filter: "state = DISABLED" });
    expect(rows.map(({ name, state }) => [name, state])).toEqual([["b", "ACTIVE"]]);
    expect(rows[0]?.next_fire_time).not.toBeNull();
  });

  test("undone twice restores the pauses and their notes", async () => {
    await make([job("a")]);
    await pauseJob(bench.parts, by("a"), { note: "mine", untilMs: null });
    const resumed = await resume({ names: ["a"] });
    await pause({ undoToken: resumed.undoToken });
    expect(await readJob(bench.parts, PROJECT, { name: "a" })).toMatchObject({
      state: "PAUSED",
      pause_note: "mine",
    });
  });

  test("undone restores a job that EasyCron has disabled, and one that it has paused, with the reasons", async () => {
    await make([job("a"), job("b")]);
    const reason = { trigger: "trg_x", statusCode: 500, host: "example.com", timeMs: START };
    for (const [name, state, cause] of [
      ["a", "DISABLED", "EXHAUSTED"],
      ["b", "PAUSED", "GONE"],
    ]) {
      await bench.spoil(
        "scheduler",
        `update scheduler.jobs set state = $2, next_fire_time = null, wake_time = null, pause_note = 'why',
                disable_reason = $3 where name = $1`,
        [name, state, JSON.stringify({ ...reason, cause, exhaustedCount: 20 })],
      );
    }
    const read = async (name: string) => {
      const { state, pause_note, disable_reason } = await readJob(bench.parts, PROJECT, { name });
      return { state, pause_note, disable_reason };
    };
    const before = [await read("a"), await read("b")];
    const resumed = await resume({ names: ["a", "b"] });
    expect(await states()).toEqual({ a: "ACTIVE", b: "ACTIVE" });
    await pause({ undoToken: resumed.undoToken });
    expect([await read("a"), await read("b")]).toEqual(before);
  });

  test("takes the same few statements for 100 jobs as for one", async () => {
    await make(Array.from({ length: 100 }, (_, index) => job(`job-${index}`)));
    const count = (names: string[]) =>
      countStatements(async (parts) => {
        const request = create(BatchPauseJobsRequestSchema, { names });
        expect((await batchPauseJobs(parts, PROJECT, request)).rows).toHaveLength(names.length);
      });
    const few = await count(["job-0"]);
    expect(few).toBeLessThan(15);
    expect(await count(Array.from({ length: 99 }, (_, index) => `job-${index + 1}`))).toBe(few);
  });

  test("decides what each job owes, takes back what is later, and skips what falls into the pause", async () => {
    const names = ["a", "b", "c"];
    await make(names.map((name) => job(name, "* * * * *")));
    bench.setTime(START + 56_000);
    await bench.tick.run();
    // The tick has handed over the first fire time, and has not run since: two more are owed.
    bench.setTime(START + 180_500);
    const { rows } = await pause({ names });
    expect(rows.map(({ name, state, last_seq }) => [name, state, last_seq])).toEqual(
      names.map((name) => [name, "PAUSED", 3]),
    );
    bench.setTime(START + 600_500);
    const resumed = await resume({ names });
    expect(resumed.rows.map(({ carry }) => carry.skipped)).toEqual([7, 7, 7]);
    for (const { uid } of rows) {
      expect((await bench.triggersOf(uid)).map(({ atMs }) => atMs - START)).toEqual([
        60_000, 120_000, 180_000,
      ]);
    }
  });

  test("changes the other jobs when one cannot be changed, and the error names that one", async () => {
    const names = ["a", "b", "c", "d"];
    const made = await make(names.map((name) => job(name)));
    await pause({ names });
    await bench.spoil(
      "scheduler",
      `update scheduler.revisions set spec = replace(spec, '"timeZone":"UTC"', '"timeZone":"Asia/Gone"') where job_uid = $1`,
      [made[2]?.row.uid],
    );
    const schedules = createScheduleCache(100, bench.parts.zoneData);
    const request = create(BatchResumeJobsRequestSchema, { names });
    await expect(batchResumeJobs({ ...bench.parts, schedules }, PROJECT, request)).rejects.toMatchObject({
      reason: "TIME_ZONE_UNKNOWN",
      violations: [{ field: expect.stringMatching(/^names\[2\]/) }],
    });
    expect(await states()).toEqual({ a: "ACTIVE", b: "ACTIVE", c: "PAUSED", d: "ACTIVE" });
  });

  test("does not deadlock with another one of the same jobs in another order", async () => {
    const names = ["a", "b", "c"];
    await make(names.map((name) => job(name)));
    // Both wait for the job in the middle, and have locked what comes before it in their order.
    const both = await bench.parts.database.transaction(async (tx) => {
      await lockJob(tx, by("b"));
      const pauses = [pause({ names, note: "one" }), pause({ names: names.toReversed(), note: "two" })];
      await bench.untilBlocked(2);
      return { pauses };
    });
    for (const { rows } of await Promise.all(both.pauses)) expect(rows).toHaveLength(names.length);
  });

  test("must be given exactly one way of selecting jobs", async () => {
    for (const wrong of [
      {},
      { names: ["a"], labels: { a: "b" } },
      { names: ["a"], filter: "name = a" },
      { labels: { a: "b" }, filter: "name = a" },
      { filter: " " },
      { undoToken: "undo_none" },
      { names: ["none"] },
    ]) {
      await expect(pause(wrong)).rejects.toMatchObject({
        reason: expect.stringMatching(/FIELD_INVALID|JOB_NOT_FOUND/),
      });
    }
  });
});

describe("ApplyJobs", () => {
  const labels = { stack: "billing" };
  const apply = (jobs: Given[], validateOnly = false) =>
    applyJobs(bench.parts, PROJECT, create(ApplyJobsRequestSchema, { labels, jobs, validateOnly }), "key_a");
  const rate = (name: string, seconds: number) =>
    job(name, "", {
      schedules: [{ kind: { case: "rate", value: { every: { seconds: BigInt(seconds) } } } }],
    });

  test("creates, changes and deletes jobs, leaves equal ones unchanged, and keeps a paused job paused", async () => {
    await bench.createJob(job("other"));
    expect(await apply([job("a"), job("b"), rate("r", 60)])).toMatchObject({ created: ["a", "b", "r"] });
    await pauseJob(bench.parts, { projectId: PROJECT, name: "b" }, { note: "", untilMs: null });
    bench.setTime(START + 5_000);
    const wanted = [job("b", "0 8 * * *"), job("c"), rate("r", 60)];
    const plan = { created: ["c"], updated: ["b"], deleted: ["a"], unchangedCount: 1 };
    expect(await apply(wanted, true)).toEqual(plan);
    expect(await states()).toEqual({ a: "ACTIVE", b: "PAUSED", other: "ACTIVE", r: "ACTIVE" });
    expect(await apply(wanted)).toEqual(plan);
    expect(await states()).toEqual({ b: "PAUSED", c: "ACTIVE", other: "ACTIVE", r: "ACTIVE" });
    expect(await apply(wanted)).toEqual({ created: [], updated: [], deleted: [], unchangedCount: 3 });
  });

  test("is refused as a whole when a job is invalid or does not carry the labels", async () => {
    await bench.createJob(job("other"));
    await expect(apply([job("a"), job("b", "nonsense")])).rejects.toMatchObject({
      violations: [{ field: "jobs[1].schedules[0].cron.expression" }],
    });
    await expect(apply([job("a"), job("other")])).rejects.toMatchObject({
      reason: "JOB_ALREADY_EXISTS",
      violations: [{ field: "jobs[1].name" }],
    });
    expect(Object.keys(await states())).toEqual(["other"]);
  });
});
