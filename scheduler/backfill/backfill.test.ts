import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { BackfillJobRequestSchema, OperationState } from "../../gen/easycron/v1/operation_pb.ts";
import { ListOperationsRequestSchema } from "../../gen/easycron/v1/operation_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { createCalendar } from "../calendars/change.ts";
import { deleteJob } from "../changes/pause-job.ts";
import type { JobRow } from "../job/job.ts";
import { triggerId } from "../job/trigger-id.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { backfillJob } from "./backfill.ts";
import { cancelOperation, getOperation, listOperations } from "./operations.ts";
import { runBackfill } from "./run.ts";

const START = Date.UTC(2026, 2, 2, 12);
const HOUR = 3_600_000;
const hourly = {
  name: "payroll",
  schedules: [{ kind: { case: "cron" as const, value: { expression: "0 * * * *" } } }],
  target: { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } },
};

let bench: SchedulerBench;
let job: JobRow;
beforeEach(async () => {
  bench = await openBench(START);
  job = await bench.createJob(hourly);
});
afterEach(() => bench.close());

type Init = MessageInitShape<typeof BackfillJobRequestSchema>;
const request = (fromHours: number, toHours: number, more: Init = {}) =>
  create(BackfillJobRequestSchema, {
    name: "payroll",
    startTime: timestampFromMs(START + fromHours * HOUR),
    endTime: timestampFromMs(START + toHours * HOUR),
    ...more,
  });
const backfill = (fromHours: number, toHours: number, more: Init = {}) =>
  backfillJob(bench.parts, PROJECT, request(fromHours, toHours, more));
const read = (id: string) => getOperation(bench.parts, PROJECT, id);
const runAll = async () => {
  while (await runBackfill(bench.parts)) bench.setTime(bench.parts.clock.now() + 2_000);
};

describe("a backfill", () => {
  test("makes triggers for the fire times of its range, start inclusive and end exclusive, under their own ids", async () => {
    const operation = await backfill(-3, 0);
    expect(operation.metadata).toMatchObject({
      fireTimeCount: 3,
      triggerCount: 3,
      doneCount: 0,
      jobUid: job.uid,
    });
    await runAll();
    const triggers = await bench.triggersOf(job.uid);
    expect(triggers.map(({ atMs }) => (atMs - START) / HOUR)).toEqual([-3, -2, -1]);
    expect(triggers.map(({ id }) => id)).toEqual(triggers.map(({ atMs }) => triggerId(job.uid, atMs)));
    const done = await read(operation.id);
    expect(done).toMatchObject({ state: OperationState.SUCCEEDED, metadata: { doneCount: 3 } });
    expect(done.endTime).toBeDefined();
  });

  test("starts once for several calls with one request id; a different request with that id is refused", async () => {
    const first = await backfill(-3, 0, { requestId: "nightly" });
    expect((await backfill(-3, 0, { requestId: "nightly" })).id).toBe(first.id);
    const both = await Promise.all([1, 2].map(() => backfill(-2, 0, { requestId: "both" })));
    expect(both[0]?.id).toBe(both[1]?.id);
    await expect(backfill(-2, 0, { requestId: "nightly" })).rejects.toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
    // A dry run remembers nothing.
    await backfill(-2, 0, { requestId: "dry", dryRun: true });
    expect((await backfill(-3, 0, { requestId: "dry" })).id).not.toBe("");
  });

  test("leaves out triggers that succeeded or are in flight and redelivers failed ones; with force it redelivers all ended ones", async () => {
    await backfill(-4, 0);
    await runAll();
    const at = (hours: number) => triggerId(job.uid, START + hours * HOUR);
    await bench.finish(at(-4), "SUCCEEDED");
    await bench.finish(at(-3), "EXHAUSTED");
    await bench.finish(at(-2), "CANCELLED");
    const counted = await backfill(-5, 0, { dryRun: true });
    expect(counted.id).toBe("");
    expect(counted.metadata).toMatchObject({
      fireTimeCount: 5,
      succeededCount: 1,
      activeCount: 1,
      triggerCount: 3,
    });
    const { id } = await backfill(-5, 0);
    await runAll();
    expect((await read(id)).metadata).toMatchObject({ triggerCount: 3, doneCount: 3 });
    const states = async () => (await bench.triggersOf(job.uid)).map(({ state }) => state);
    expect(await states()).toEqual(["PENDING", "SUCCEEDED", "PENDING", "PENDING", "PENDING"]);
    await backfill(-5, 0, { force: true });
    await runAll();
    expect(await states()).toEqual(["PENDING", "PENDING", "PENDING", "PENDING", "PENDING"]);
  });

  test("leaves undecided fire times to the job, so that the job's chain has no hole", async () => {
    bench.setTime(START + 3.5 * HOUR);
    const operation = await backfill(-1, 3);
    expect(operation.metadata).toMatchObject({ fireTimeCount: 4, triggerCount: 2, activeCount: 2 });
    await runAll();
    while ((await bench.tick.run()).more);
    const triggers = await bench.triggersOf(job.uid);
    // Of the three hours the outage took, the last is within the job's catch-up window.
    expect(triggers.map(({ kind, seq }) => [kind, seq])).toEqual([
      ["BACKFILL", 0],
      ["BACKFILL", 0],
      ["CATCHUP", 1],
    ]);
    const audit = await auditJob(bench.parts, job, START, bench.parts.clock.now());
    expect(audit?.differences).toEqual([]);
  });

  test("continues after the dispatcher was unreachable", async () => {
    const { id } = await backfill(-10, 0);
    bench.setDispatcherDown(true);
    await expect(runBackfill(bench.parts)).rejects.toMatchObject({
      reason: "SERVICE_UNAVAILABLE",
    });
    bench.setDispatcherDown(false);
    expect(await runBackfill(bench.parts)).toBe(false);
    bench.setTime(START + 5_000);
    await runAll();
    expect(await read(id)).toMatchObject({ state: OperationState.SUCCEEDED, metadata: { doneCount: 10 } });
  });

  test("hands over no more triggers a second than its limit", async () => {
    await backfill(-10, 0, { maxPerSecond: 4 });
    expect(await runBackfill(bench.parts)).toBe(true);
    expect(await runBackfill(bench.parts)).toBe(false);
    expect(await bench.triggersOf(job.uid)).toHaveLength(4);
    bench.setTime(START + 1_000);
    await runBackfill(bench.parts);
    expect(await bench.triggersOf(job.uid)).toHaveLength(8);
  });

  test("ends when it is cancelled, and does not start again", async () => {
    const { id } = await backfill(-10, 0, { maxPerSecond: 4 });
    await runBackfill(bench.parts);
    expect((await cancelOperation(bench.parts, PROJECT, id)).state).toBe(OperationState.CANCELLED);
    await runAll();
    expect(await bench.triggersOf(job.uid)).toHaveLength(4);
    expect((await cancelOperation(bench.parts, PROJECT, id)).metadata?.doneCount).toBe(4);
  });

  test("fails when its job is deleted, even if another job has the name by then", async () => {
    const { id } = await backfill(-10, 0);
    await deleteJob(bench.parts, { projectId: PROJECT, name: "payroll" });
    const other = await bench.createJob(hourly);
    await runAll();
    expect(await read(id)).toMatchObject({
      state: OperationState.FAILED,
      error: 'The job "payroll" was deleted.',
    });
    expect(await bench.triggersOf(other.uid)).toEqual([]);
  });

  test("leaves out fire times outside a calendar", async () => {
    const windows = [{ days: ["MONDAY"], start: "09:00", end: "11:00" }];
    await createCalendar(bench.parts, PROJECT, create(CalendarSchema, { name: "morning", windows }));
    await bench.createJob({ ...hourly, name: "gated", calendars: [{ name: "morning" }] });
    const { metadata } = await backfill(-12, 0, { name: "gated", dryRun: true });
    expect(metadata).toMatchObject({ fireTimeCount: 12, outsideCalendarCount: 10, triggerCount: 2 });
  });
});

describe("BackfillJob refuses", () => {
  test.each([
    ["a range whose end is not later than its start", 0, 0, "must be later than startTime"],
    ["a range that reaches into the future", -1, 1, "must not be later than now"],
    ["a range of a hundred years", -876_600, 0, "at most 3653 days"],
    ["a range with too many fire times", -24 * 3_600, 0, "more than 100000 fire times"],
  ])("%s", async (_, from, to, description) => {
    const second = { kind: { case: "cron" as const, value: { expression: "* * * * *" } } };
    await bench.createJob({ ...hourly, name: "minutely", schedules: [second] });
    await expect(backfill(from, to, { name: "minutely" })).rejects.toMatchObject({
      reason: "FIELD_INVALID",
      violations: [{ field: "endTime", description: expect.stringContaining(description) }],
    });
  });

  test("a job that does not exist or belongs to another project", async () => {
    await expect(backfill(-1, 0, { name: "none" })).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
  });
});

test("operations are listed newest first, in pages, and only those of the project", async () => {
  const ids = [];
  for (const hours of [-1, -2, -3]) ids.push((await backfill(hours, 0)).id);
  const page = create(ListOperationsRequestSchema, { pageSize: 2 });
  const first = await listOperations(bench.parts, PROJECT, page);
  page.pageToken = first.nextPageToken;
  const second = await listOperations(bench.parts, PROJECT, page);
  expect([...first.operations, ...second.operations].map(({ id }) => id)).toEqual(ids.toReversed());
  expect(second.nextPageToken).toBe("");
  expect(
    (await listOperations(bench.parts, "proj_other", create(ListOperationsRequestSchema))).operations,
  ).toEqual([]);
  await expect(getOperation(bench.parts, "proj_other", ids[0] ?? "")).rejects.toMatchObject({
    reason: "OPERATION_NOT_FOUND",
  });
});
