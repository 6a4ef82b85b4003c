import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { AutoDisableSchema, type Job, type JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { deleteJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { tellEnds } from "../testing/signals.ts";
import { countSignals, SIGNALS_AT_ONCE } from "./count-signals.ts";
import { createDisabling, stopPending } from "./run.ts";

const START = Date.UTC(2026, 0, 1);

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

const logger = { warn: () => {}, error: () => {} };
const job = (name: string, fields: Pick<Job, "autoDisable"> | object = {}) =>
  bench.createJob({ name, target: webhook("https://api.example.com/hook"), ...fields });
const webhook = (url: string) => ({ kind: { case: "webhook" as const, value: { url } } });
const auto = (afterExhausted: number, off = false) => ({
  autoDisable: create(AutoDisableSchema, { afterExhausted, afterDuration: durationFromMs(0), off }),
});
const update = (job: MessageInitShape<typeof JobSchema>) =>
  updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, { job }));
const again = async ({ uid }: JobRow): Promise<JobRow> => {
  const [row] = await bench.parts.database.query(jobByUid, [PROJECT, uid]);
  if (row === undefined) throw new Error("The job is gone.");
  return row;
};

describe("jobs whose counts are locked", () => {
  test("are looked at once a second, and other jobs are reached behind them", async () => {
    const locked = [await job("first"), await job("second")];
    const free = await job("free");
    for (const [index, row] of locked.entries()) {
      const endsMs = Array.from({ length: SIGNALS_AT_ONCE }, (_, at) => START + index * 1_000 + at);
      await tellEnds(bench, row, { kind: "GONE", endsMs });
    }
    await tellEnds(bench, free, { kind: "GONE", endsMs: [START + 5_000] });
    await bench.spoil(
      "scheduler",
      "insert into scheduler.failing_jobs (job_uid, project_id) select uid, $2 from unnest($1::text[]) as uid",
      [locked.map(({ uid }) => uid), PROJECT],
    );
    const client = new pg.Client({ connectionString: bench.adminUrl });
    onTestFinished(() => client.end());
    await client.connect();
    await client.query("begin");
    await client.query("select from scheduler.failing_jobs for update");
    const pass = createDisabling(bench.parts, logger, () => 0);
    for (let passes = 0; passes < 3; passes++) expect(await pass()).toEqual({ more: false });
    expect(await again(free)).toMatchObject({ state: "PAUSED" });
    await client.query("rollback");
    for (let passes = 0; passes < 4; passes++) await pass();
    for (const row of locked) expect(await again(row)).toMatchObject({ state: "PAUSED" });
  });
});

describe("a job that is to be disabled", () => {
  test.each([
    ["a higher limit", auto(4)],
    ["autoDisable off", auto(3, true)],
  ])("is not, when it has %s by then; its run goes on", async (_, fields) => {
    const row = await job("mended", auto(3));
    await tellEnds(bench, row, { kind: "EXHAUSTED", endsMs: [START + 1, START + 2, START + 3] });
    await countSignals(bench.parts, logger, []);
    await update({ name: "mended", ...fields });
    expect(await stopPending(bench.parts, logger)).toBe(1);
    expect(await again(row)).toMatchObject({ state: "ACTIVE", disable_reason: null });
    await update({ name: "mended", ...auto(4) });
    await tellEnds(bench, row, { kind: "EXHAUSTED", endsMs: [START + 4] });
    await createDisabling(bench.parts, logger, () => 0)();
    expect(await again(row)).toMatchObject({ state: "DISABLED", disable_reason: { exhaustedCount: 4 } });
  });
});

describe("a job whose target was changed", () => {
  const EXHAUSTED = "EXHAUSTED" as const;
  test("does not count what is delivered to its former target and ends after the change", async () => {
    const row = await job("moved", auto(2));
    await update({ name: "moved", target: webhook("https://new.example.com/") });
    await update({ name: "moved", labels: { team: "billing" } });
    bench.setTime(START + 60_000);
    const pass = createDisabling(bench.parts, logger, () => 0);
    await tellEnds(bench, row, { kind: EXHAUSTED, endsMs: [START + 1_000], revision: 1 });
    await tellEnds(bench, row, { kind: EXHAUSTED, endsMs: [START + 2_000], revision: 2 });
    await pass();
    expect(await again(row)).toMatchObject({ state: "ACTIVE" });
    // It does not end the run of the present target either.
    await tellEnds(bench, row, { kind: "GONE", endsMs: [START + 3_000], revision: 1 });
    await pass();
    await tellEnds(bench, row, { kind: EXHAUSTED, endsMs: [START + 4_000], revision: 3 });
    await pass();
    expect(await again(row)).toMatchObject({ state: "DISABLED", disable_reason: { exhaustedCount: 2 } });
  });
});

test("a deleted job has no count, and what ends afterwards makes none", async () => {
  const row = await job("deleted");
  const tell = (endMs: number) => tellEnds(bench, row, { kind: "EXHAUSTED", endsMs: [endMs] });
  const read = async () => {
    const client = new pg.Client({ connectionString: bench.adminUrl });
    await client.connect();
    const { rows } = await client.query(
      "select (select count(*) from scheduler.failing_jobs)::integer as counts, (select count(*) from dispatcher.signals)::integer as signals",
    );
    await client.end();
    return rows[0];
  };
  await tell(START + 1_000);
  await countSignals(bench.parts, logger, []);
  expect(await read()).toEqual({ counts: 1, signals: 0 });
  await deleteJob(bench.parts, { projectId: PROJECT, name: "deleted" });
  expect(await read()).toEqual({ counts: 0, signals: 0 });
  await tell(START + 2_000);
  expect(await countSignals(bench.parts, logger, [])).toMatchObject({ taken: 1, locked: [] });
  expect(await read()).toEqual({ counts: 0, signals: 0 });
});
