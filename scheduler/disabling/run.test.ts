import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { AutoDisableSchema, type Job } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { pauseJob, resumeJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { toJob } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { triggerId } from "../job/trigger-id.ts";
import { readPage } from "../ledger/list-fire-times.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createDisabling, stopPending } from "./run.ts";

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let bench: SchedulerBench;
/** What was logged, without errors. */
let told: object[] = [];
beforeEach(async () => {
  told = [];
  bench = await openBench(START);
});
afterEach(() => bench.close());

const logger = {
  warn: (fields: object) => void told.push(fields),
  error: (fields: object) => void told.push(fields),
};
const job = (name: string, fields: Pick<Job, "autoDisable"> | object = {}) =>
  bench.createJob({
    name,
    schedules: [{ kind: { case: "cron", value: { expression: "* * * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://api.example.com/hook" } } },
    ...fields,
  });
const auto = (afterExhausted: number, afterMs: number, off = false) => ({
  autoDisable: create(AutoDisableSchema, { afterExhausted, afterDuration: durationFromMs(afterMs), off }),
});
/** Tells of the end of a job's trigger at an instant, which is its fire time too, as a dispatcher does. */
const signal = (row: JobRow, kind: string, endMs: number, revision = row.revision) =>
  bench.spoil(
    "dispatcher",
    `insert into dispatcher.signals (end_time, trigger_id, project_id, job_uid, fire_time, revision, kind)
     values ($1, $2, $3, $4, $1, $5, $6)`,
    [new Date(endMs).toISOString(), triggerId(row.uid, endMs), row.project_id, row.uid, revision, kind],
  );
const pass = () => createDisabling(bench.parts, logger, () => 0)();
const again = async ({ uid }: JobRow): Promise<JobRow> => {
  const [row] = await bench.parts.database.query(jobByUid, [PROJECT, uid]);
  if (row === undefined) throw new Error("The job is gone.");
  return row;
};
const shown = async (row: JobRow) => toJob(await again(row), null, START);
const fireUntil = async (ms: number) => {
  for (let at = START; at <= ms; at += MINUTE) {
    bench.setTime(at);
    while ((await bench.tick.run()).more);
  }
};
const reference = (name: string) => ({ projectId: PROJECT, name });

describe("a receiver that wants no more", () => {
  test.each([
    ["GONE", "api.example.com answered 410 Gone to trg_"],
    ["RECEIVER", 'with "webhook-delivery: disable" to trg_'],
  ])("pauses its job, which says why (%s)", async (kind, words) => {
    const row = await job("gone");
    await fireUntil(START + 2 * MINUTE);
    await signal(row, kind, START + 2 * MINUTE);
    await pass();
    const found = await shown(row);
    expect(found).toMatchObject({ revision: 1, pauseNote: expect.stringContaining(words) });
    const id = triggerId(row.uid, START + 2 * MINUTE);
    expect(await again(row)).toMatchObject({
      state: "PAUSED",
      disable_reason: { cause: kind, trigger: id, host: "api.example.com", timeMs: START + 2 * MINUTE },
    });
    expect(told).toMatchObject([{ jobUid: row.uid, projectId: PROJECT, cause: kind, triggerId: id }]);
    bench.setTime(START + 5 * MINUTE);
    const entries = await readPage(bench.parts, await again(row), START, START + 7 * MINUTE, 10);
    expect(entries.map(({ verdict, reason }) => reason ?? verdict)).toEqual([
      "TRIGGERED",
      "TRIGGERED",
      ...Array(4).fill("PAUSED"),
    ]);
  });

  test("does not pause a job whose target was changed since, or that was resumed or paused since", async () => {
    const moved = await job("moved");
    const url = "https://api.example.com/new";
    await updateJob(
      bench.parts,
      PROJECT,
      create(UpdateJobRequestSchema, {
        job: { name: "moved", target: { kind: { case: "webhook", value: { url } } } },
      }),
    );
    const resumed = await job("resumed");
    const paused = await job("paused");
    bench.setTime(START + MINUTE);
    for (const name of ["resumed", "paused"])
      await pauseJob(bench.parts, reference(name), { note: "mine", untilMs: null });
    await resumeJob(bench.parts, reference("resumed"));
    for (const each of [moved, resumed, paused]) await signal(each, "GONE", START + 30_000);
    await pass();
    expect(await again(moved)).toMatchObject({ state: "ACTIVE", revision: 2 });
    expect(await again(resumed)).toMatchObject({ state: "ACTIVE", disable_reason: null });
    expect(await again(paused)).toMatchObject({ state: "PAUSED", pause_note: "mine", disable_reason: null });
    expect(told).toEqual([]);
  });

  test("pauses a job of which something else was changed since", async () => {
    const row = await job("labelled");
    const labels = { team: "billing" };
    await updateJob(
      bench.parts,
      PROJECT,
      create(UpdateJobRequestSchema, { job: { name: "labelled", labels } }),
    );
    await signal(row, "GONE", START + 1);
    await pass();
    expect(await again(row)).toMatchObject({ state: "PAUSED", revision: 2 });
  });

  test("pauses its job once, whichever of two schedulers takes the signals, and whoever is killed between", async () => {
    const row = await job("twice");
    await signal(row, "GONE", START + 1);
    await signal(row, "GONE", START + 2);
    await Promise.all([pass(), pass()]);
    expect(await again(row)).toMatchObject({ state: "PAUSED", epoch: 2 });
    // A scheduler that dies after it has counted leaves the job pending; another one finds it.
    await resumeJob(bench.parts, reference("twice"));
    bench.setTime(START + MINUTE);
    await signal(row, "GONE", START + 30_000);
    const now = () => {
      throw new Error("killed");
    };
    const dying = { ...bench.parts, clock: { now } };
    await expect(createDisabling(dying, logger, () => 0)()).rejects.toThrow("killed");
    expect(await again(row)).toMatchObject({ state: "ACTIVE" });
    expect(await stopPending(bench.parts, logger)).toBe(1);
    expect(await stopPending(bench.parts, logger)).toBe(0);
    expect(await again(row)).toMatchObject({ state: "PAUSED", epoch: 4 });
  });

  test("is not waited for by other jobs, when the job is locked", async () => {
    const [held, free] = [await job("held"), await job("free")];
    for (const each of [held, free]) await signal(each, "EXHAUSTED", START);
    await pass();
    bench.setTime(START + MINUTE);
    const client = new pg.Client({ connectionString: bench.adminUrl });
    await client.connect();
    await client.query("begin");
    await client.query("select from scheduler.failing_jobs where job_uid = $1 for update", [held.uid]);
    await signal(held, "GONE", START + 30_001);
    await signal(free, "GONE", START + 30_002);
    const twice = createDisabling(bench.parts, logger, () => 0);
    await twice();
    expect(await again(free)).toMatchObject({ state: "PAUSED" });
    expect(await again(held)).toMatchObject({ state: "ACTIVE" });
    await client.query("rollback");
    await client.end();
    await twice();
    await twice();
    expect(await again(held)).toMatchObject({ state: "PAUSED" });
  });
});

describe("a job whose triggers are exhausted", () => {
  /** Makes triggers of the job at these minutes, and brings each to rest. */
  const end = async (row: JobRow, state: "EXHAUSTED" | "SUCCEEDED", minutes: readonly number[]) => {
    for (const minute of minutes) {
      const atMs = START + minute * MINUTE;
      bench.setTime(atMs);
      while ((await bench.tick.run()).more);
      await bench.finish(triggerId(row.uid, atMs), state);
      if (state === "EXHAUSTED") await signal(row, "EXHAUSTED", atMs);
      await pass();
    }
  };

  test("is disabled after so many in a row and so long a time, never earlier, and its ledger says so", async () => {
    const row = await job("failing", auto(3, 10 * MINUTE));
    await end(row, "EXHAUSTED", [1, 2, 3, 4, 10]);
    expect(await again(row)).toMatchObject({ state: "ACTIVE" });
    await end(row, "EXHAUSTED", [11]);
    const found = await shown(row);
    expect(await again(row)).toMatchObject({ state: "DISABLED", revision: 1 });
    expect(found.disableReason).toMatchObject({
      exhaustedCount: 6,
      trigger: triggerId(row.uid, START + 11 * MINUTE),
      time: timestampFromMs(START + 11 * MINUTE),
    });
    expect(found.pauseNote).toMatch(/^EasyCron has disabled the job: 6 triggers in a row were exhausted/);
    bench.setTime(START + 15 * MINUTE);
    while ((await bench.tick.run()).more);
    const entries = await readPage(
      bench.parts,
      await again(row),
      START + 11 * MINUTE,
      START + 17 * MINUTE,
      10,
    );
    expect(entries.map(({ verdict, reason }) => [verdict, reason])).toEqual([
      ["TRIGGERED", null],
      ...Array(4).fill(["SKIPPED", "JOB_DISABLED"]),
      ["UPCOMING", "JOB_DISABLED"],
    ]);
    await resumeJob(bench.parts, reference("failing"));
    expect(await again(row)).toMatchObject({ state: "ACTIVE", disable_reason: null, pause_note: "" });
    // The next trigger states how many fire times were skipped before it.
    bench.setTime(START + 18 * MINUTE);
    while ((await bench.tick.run()).more);
    const audit = await auditJob(bench.parts, await again(row), START, START + 20 * MINUTE);
    expect(audit).toMatchObject({ differences: [], fireTimeCount: expect.any(Number) });
  });

  test("starts anew after a success, after ResumeJob and with another target", async () => {
    const row = await job("flapping", auto(3, 0));
    await end(row, "EXHAUSTED", [1, 2]);
    await end(row, "SUCCEEDED", [3]);
    await end(row, "EXHAUSTED", [4, 5]);
    expect(await again(row)).toMatchObject({ state: "ACTIVE" });
    await end(row, "EXHAUSTED", [6]);
    expect(await again(row)).toMatchObject({ state: "DISABLED", disable_reason: { exhaustedCount: 3 } });
    await resumeJob(bench.parts, reference("flapping"));
    await end(row, "EXHAUSTED", [7, 8]);
    expect(await again(row)).toMatchObject({ state: "ACTIVE" });
    const url = "https://other.example.com/";
    await updateJob(
      bench.parts,
      PROJECT,
      create(UpdateJobRequestSchema, {
        job: { name: "flapping", target: { kind: { case: "webhook", value: { url } } } },
      }),
    );
    await signal(row, "EXHAUSTED", START + 8 * MINUTE + 1, 1);
    await pass();
    expect(await again(row)).toMatchObject({ state: "ACTIVE" });
    await end(await again(row), "EXHAUSTED", [9]);
    expect(await again(row)).toMatchObject({ state: "ACTIVE", revision: 2 });
  });

  test("is disabled by the defaults after 20 and a day, and never with off", async () => {
    const [plain, never] = [await job("plain"), await job("never", auto(2, 0, true))];
    for (const each of [plain, never]) {
      for (let count = 0; count < 19; count++) await signal(each, "EXHAUSTED", START + count);
      await signal(each, "EXHAUSTED", START + 24 * HOUR - 1);
    }
    await pass();
    expect(await again(plain)).toMatchObject({ state: "ACTIVE" });
    for (const each of [plain, never]) await signal(each, "EXHAUSTED", START + 24 * HOUR);
    await pass();
    expect(await again(plain)).toMatchObject({ state: "DISABLED" });
    expect(await again(never)).toMatchObject({ state: "ACTIVE" });
  });

  test("cannot be disabled after one", async () => {
    await expect(job("once", auto(1, 0))).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    const row = await job("twice", auto(2, 0));
    await signal(row, "EXHAUSTED", START);
    await pass();
    expect(await again(row)).toMatchObject({ state: "ACTIVE" });
  });

  test("counts once, although the signal cannot be taken with those of others, which count too", async () => {
    const [bad, good] = [await job("bad", auto(2, 0)), await job("good", auto(2, 0))];
    await bench.spoil(
      "scheduler",
      "insert into scheduler.failing_jobs (job_uid, project_id, exhausted_count) values ($1, $2, 2147483647)",
      [bad.uid, PROJECT],
    );
    await signal(bad, "EXHAUSTED", START);
    for (const at of [1, 2]) await signal(good, "EXHAUSTED", START + at);
    await pass();
    expect(await again(good)).toMatchObject({ state: "DISABLED", disable_reason: { exhaustedCount: 2 } });
    expect(told).toMatchObject([{ jobUid: bad.uid }, { jobUid: good.uid }]);
  });
});
