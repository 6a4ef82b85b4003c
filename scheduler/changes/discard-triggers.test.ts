import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { DiscardTriggersRequestSchema } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import type { JobRow } from "../job/job.ts";
import { readPage } from "../ledger/list-fire-times.ts";
import { readJob } from "../reading/read-jobs.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { discardTriggers } from "./discard-triggers.ts";

const START = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;

let bench: SchedulerBench;
let job: JobRow;
beforeEach(async () => {
  bench = await openBench(START);
  job = await bench.createJob(everySecond("payroll"));
});
afterEach(() => bench.close());

const discard = (request: MessageInitShape<typeof DiscardTriggersRequestSchema>, projectId = PROJECT) =>
  discardTriggers(bench.parts, projectId, create(DiscardTriggersRequestSchema, request));
const states = async ({ uid }: JobRow) => {
  const counts: Record<string, number> = {};
  for (const { kind, state } of await bench.triggersOf(uid)) {
    counts[`${kind} ${state}`] = (counts[`${kind} ${state}`] ?? 0) + 1;
  }
  return counts;
};

test("DiscardTriggers discards the rest of a catch-up, decided or not, and keeps fire times that are on time", async () => {
  bench.setTime(START + 5 * MINUTE_MS);
  // The first look after the outage has not come to it yet: nothing is decided.
  expect(await states(job)).toEqual({});
  const kind = TriggerKind.CATCHUP;
  expect(await discard({ job: "payroll", kind })).toEqual({ discardedCount: 100, more: false });
  const { "CATCHUP CANCELLED": cancelled, ...others } = await states(job);
  expect(cancelled).toBe(100);
  // Those of the last ten seconds are on time.
  expect(others).toEqual({ "SCHEDULED PENDING": 11 });
  while ((await bench.tick.run()).more);
  const now = bench.parts.clock.now();
  expect(await auditJob(bench.parts, job, START, now)).toMatchObject({ fireTimeCount: 299, differences: [] });
  const entries = await readPage(
    bench.parts,
    await readJob(bench.parts, PROJECT, { name: "payroll" }),
    START,
    now + 1,
    1_000,
  );
  const counts = new Map<string, number>();
  for (const { verdict } of entries) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  expect(Object.fromEntries(counts)).toEqual({ MISSED: 189, TRIGGERED: 111 });
});

test("DiscardTriggers can discard the triggers of a whole project, and of no other project", async () => {
  const other = await bench.createJob(everySecond("other"));
  bench.setTime(START + MINUTE_MS);
  const kind = TriggerKind.CATCHUP;
  expect(await discard({ kind }, "proj_other")).toEqual({ discardedCount: 0, more: false });
  expect((await discard({ kind })).discardedCount).toBe(98);
  for (const each of [job, other]) expect((await states(each))["CATCHUP CANCELLED"]).toBe(49);
});

test("an attempt in flight is not interrupted, and is not retried", async () => {
  bench.setTime(START + 2_000);
  await bench.tick.run();
  const [first] = await bench.triggersOf(job.uid);
  await bench.start(first?.id ?? "");
  bench.setTime(START + 2_500);
  expect((await discard({ job: "payroll" })).discardedCount).toBe(2);
  const rows = await bench.triggersOf(job.uid);
  expect(rows.slice(0, 3).map(({ state }) => state)).toEqual(["RUNNING", "CANCELLED", "PENDING"]);
  // It is discarded already.
  expect((await discard({ job: "payroll" })).discardedCount).toBe(0);
});

test("DiscardTriggers takes a range of nominal times, start inclusive and end exclusive", async () => {
  bench.setTime(START + 5_000);
  await bench.tick.run();
  const startTime = timestampFromMs(START + 2_000);
  const endTime = timestampFromMs(START + 4_000);
  expect((await discard({ job: "payroll", startTime, endTime })).discardedCount).toBe(2);
  const rows = await bench.triggersOf(job.uid);
  expect(rows.slice(0, 5).map(({ state }) => state)).toEqual([
    "PENDING",
    "CANCELLED",
    "CANCELLED",
    "PENDING",
    "PENDING",
  ]);
});

test("DiscardTriggers refuses a request with neither job nor kind, and a job that does not exist", async () => {
  await expect(discard({})).rejects.toMatchObject({
    reason: "FIELD_INVALID",
    violations: [{ field: "job" }],
  });
  await expect(discard({ job: "none" })).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
});
