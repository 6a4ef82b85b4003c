import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createPool } from "../../db/pool.ts";
import { AfterCompletion } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { manualEvent } from "../job/chain.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { readPage } from "../ledger/list-fire-times.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { deleteFinished } from "./delete-finished.ts";
import { updateJob } from "./update-job.ts";

const START = Date.UTC(2026, 0, 1);
const AT = START + 60_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

const once = (name: string, afterCompletion: AfterCompletion) =>
  bench.createJob({
    name,
    afterCompletion,
    schedules: [{ kind: { case: "once", value: { at: { case: "time", value: timestampFromMs(AT) } } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
  });
const told: object[] = [];
const logger = { error: (fields: object) => void told.push(fields) };
const again = async ({ uid }: JobRow): Promise<JobRow> => {
  const [row] = await bench.parts.database.query(jobByUid, [PROJECT, uid]);
  if (row === undefined) throw new Error("The job is gone.");
  return row;
};
const fireAt = async (ms: number) => {
  bench.setTime(ms);
  while ((await bench.tick.run()).more);
};

test("a job that has fired for the last time is kept, unless it asks to be deleted", async () => {
  const [kept, deleted] = [
    await once("kept", AfterCompletion.NONE),
    await once("deleted", AfterCompletion.DELETE),
  ];
  await fireAt(AT);
  for (const job of [kept, deleted]) await bench.succeed(job.uid);
  expect(await deleteFinished(bench.parts, logger)).toBe(1);
  expect(await again(kept)).toMatchObject({ state: "FINISHED" });
  expect(await again(deleted)).toMatchObject({ state: "DELETED" });
  // Its name is free, and its ledger stays.
  const [entry] = await readPage(bench.parts, await again(deleted), START, AT + 1, 10);
  expect(entry).toMatchObject({ atMs: AT, verdict: "TRIGGERED", trigger: { state: "SUCCEEDED" } });
  bench.setTime(AT - 1);
  await once("deleted", AfterCompletion.NONE);
});

test("a finished job is deleted only when all its triggers have ended, retries and manual runs included", async () => {
  const job = await once("once", AfterCompletion.DELETE);
  await fireAt(AT);
  const [trigger] = await bench.triggersOf(job.uid);
  await bench.start(trigger?.id ?? "");
  await bench.fail(trigger?.id ?? "");
  expect(await deleteFinished(bench.parts, logger)).toBe(0);
  const finished = await again(job);
  expect(finished.state).toBe("FINISHED");
  const run = manualEvent(finished, {
    nominalTimeMs: AT + 1,
    requestId: "r",
    payloadJson: undefined,
    zoneData: "",
  });
  await bench.record([run]);
  await bench.finish(trigger?.id ?? "", "EXHAUSTED");
  expect(await deleteFinished(bench.parts, logger)).toBe(0);
  await bench.finish(run.triggerId, "SUCCEEDED");
  expect(await deleteFinished(bench.parts, logger)).toBe(1);
});

test("a finished job that an update gives new fire times is not deleted", async () => {
  const job = await once("once", AfterCompletion.DELETE);
  await fireAt(AT);
  await bench.succeed(job.uid);
  const time = timestampFromMs(AT + 3_600_000);
  const later = {
    name: "once",
    schedules: [{ kind: { case: "once" as const, value: { at: { case: "time" as const, value: time } } } }],
  };
  await updateJob(bench.parts, PROJECT, create(UpdateJobRequestSchema, { job: later }));
  expect(await deleteFinished(bench.parts, logger)).toBe(0);
  expect(await again(job)).toMatchObject({ state: "ACTIVE" });
});

test("a job that cannot be deleted is set aside, and the others are deleted", async () => {
  const jobs = [
    await once("first", AfterCompletion.DELETE),
    await once("second", AfterCompletion.DELETE),
  ].sort((a, b) => a.uid.localeCompare(b.uid));
  const [bad, good] = jobs;
  if (bad === undefined || good === undefined) throw new Error("There are two jobs.");
  await fireAt(AT);
  for (const job of jobs) await bench.succeed(job.uid);
  await bench.spoil(
    "scheduler",
    `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time, note)
     values ($1, 2, 'ACTIVE', 1, now(), now(), '')`,
    [bad.uid],
  );
  told.length = 0;
  expect(await deleteFinished(bench.parts, logger)).toBe(1);
  expect(await again(good)).toMatchObject({ state: "DELETED" });
  expect(await again(bad)).toMatchObject({ state: "FINISHED" });
  expect(told).toMatchObject([{ jobUid: bad.uid, failures: 1, retryTimeMs: AT + 60_000 }]);
  expect(await deleteFinished(bench.parts, logger)).toBe(0);
  expect(told).toHaveLength(1);
  await bench.spoil("scheduler", "delete from scheduler.epochs where job_uid = $1 and epoch = 2", [bad.uid]);
  bench.setTime(AT + 60_000);
  expect(await deleteFinished(bench.parts, logger)).toBe(1);
});

test("a finished job that another transaction has locked does not keep those of other projects from being deleted", async () => {
  const jobs = [
    await once("first", AfterCompletion.DELETE),
    await once("second", AfterCompletion.DELETE),
  ].sort((a, b) => a.uid.localeCompare(b.uid));
  const [locked, good] = jobs;
  if (locked === undefined || good === undefined) throw new Error("There are two jobs.");
  await fireAt(AT);
  for (const job of jobs) await bench.succeed(job.uid);
  const limits = { lockMs: 200 };
  const database = createPool({
    connectionString: bench.adminUrl,
    max: 1,
    applicationName: "test",
    limits,
  });
  const session = new pg.Client({ connectionString: bench.adminUrl });
  await session.connect();
  await session.query("begin");
  await session.query("select from scheduler.jobs where uid = $1 for update", [locked.uid]);
  told.length = 0;
  const deleted = await deleteFinished({ ...bench.parts, database }, logger);
  await session.end();
  await database.close();
  expect(deleted).toBe(1);
  expect(await again(good)).toMatchObject({ state: "DELETED" });
  expect(told).toMatchObject([{ jobUid: locked.uid, failures: 1 }]);
});
