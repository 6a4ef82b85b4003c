import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { OperationKind, OperationState } from "../../gen/easycron/v1/operation_pb.ts";
import { TriggerState } from "../../gen/easycron/v1/trigger_pb.ts";
import { ReplayTriggersRequestSchema } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { cancelOperation, getOperation } from "../backfill/operations.ts";
import { runBackfill } from "../backfill/run.ts";
import { deleteJob } from "../changes/pause-job.ts";
import type { JobRow } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { MAX_RUNNING_REPLAYS, replayTriggers } from "./replay-triggers.ts";
import { runReplayChunk } from "./run.ts";

const START = Date.UTC(2026, 0, 1);
const DEAD = 7;

let bench: SchedulerBench;
let job: JobRow;
let other: JobRow;
beforeEach(async () => {
  bench = await openBench(START);
  job = await bench.createJob(everySecond("payroll"));
  other = await bench.createJob(everySecond("other"));
  bench.setTime(START + DEAD * 1_000);
  await bench.tick.run();
  // The seven that are due have failed; those that were handed over ahead of time have not.
  for (const { uid } of [job, other]) {
    const due = (await bench.triggersOf(uid)).filter(({ atMs }) => atMs <= START + DEAD * 1_000);
    expect(due).toHaveLength(DEAD);
    for (const { id } of due) {
      await bench.spoil("dispatcher", "update dispatcher.triggers set attempt_count = 8 where id = $1", [id]);
      await bench.finish(id, "EXHAUSTED");
    }
  }
  bench.setTime(START + 60_000);
});
afterEach(() => bench.close());

type Init = MessageInitShape<typeof ReplayTriggersRequestSchema>;
const replay = (init: Init = {}, projectId = PROJECT) =>
  replayTriggers(bench.parts, projectId, create(ReplayTriggersRequestSchema, init));
const runOne = (parts: Parts = bench.parts) => runBackfill(parts, { REPLAY: runReplayChunk });
const runAll = async () => {
  while (await runOne()) bench.setTime(bench.parts.clock.now() + 1_000);
};
const read = (id: string) => getOperation(bench.parts, PROJECT, id);
const countOf = async ({ uid }: JobRow, state: string) =>
  (await bench.triggersOf(uid)).filter((row) => row.state === state && row.atMs <= START + DEAD * 1_000)
    .length;

describe("a replay of triggers", () => {
  test("makes the dead letters of a job due again, at most so many in a second", async () => {
    const operation = await replay({ job: "payroll", maxPerSecond: 3 });
    expect(operation).toMatchObject({
      state: OperationState.RUNNING,
      metadata: {
        kind: OperationKind.REPLAY,
        triggerState: TriggerState.EXHAUSTED,
        job: "payroll",
        triggerCount: DEAD,
        doneCount: 0,
      },
    });
    for (const done of [3, 6]) {
      expect(await runOne()).toBe(true);
      expect(await runOne()).toBe(false);
      expect((await read(operation.id)).metadata?.doneCount).toBe(done);
      expect(await countOf(job, "PENDING")).toBe(done);
      bench.setTime(bench.parts.clock.now() + 1_000);
    }
    await runAll();
    expect(await read(operation.id)).toMatchObject({
      state: OperationState.SUCCEEDED,
      metadata: { doneCount: DEAD, leftOutCount: 0 },
    });
    expect([await countOf(job, "PENDING"), await countOf(other, "EXHAUSTED")]).toEqual([DEAD, DEAD]);
  });

  test("does not take again what fails again, nor what failed after it was asked for", async () => {
    const [first, , , , , , last] = await bench.triggersOf(job.uid);
    await bench.spoil(
      "dispatcher",
      "update dispatcher.triggers set state = 'RUNNING', end_time = null where id = $1",
      [last?.id],
    );
    const { id } = await replay({ job: "payroll", maxPerSecond: 2 });
    await runOne();
    bench.setTime(bench.parts.clock.now() + 1_000);
    for (const each of [first, last]) await bench.finish(each?.id ?? "", "EXHAUSTED");
    await runAll();
    expect((await read(id)).metadata).toMatchObject({ triggerCount: 6, doneCount: 6, leftOutCount: 0 });
    expect(await countOf(job, "EXHAUSTED")).toBe(2);
  });

  test("runs a chunk again, with the same result, after a crash before its commit", async () => {
    const { id } = await replay({ job: "payroll", maxPerSecond: 4 });
    await runOne();
    bench.setTime(bench.parts.clock.now() + 1_000);
    const crash = runBackfill(bench.parts, {
      REPLAY: async (...chunk) => {
        await runReplayChunk(...chunk);
        throw new Error("The process died here.");
      },
    });
    await expect(crash).rejects.toThrow("is set aside");
    expect((await read(id)).metadata?.doneCount).toBe(4);
    expect(await countOf(job, "PENDING")).toBe(4);
    bench.setTime(bench.parts.clock.now() + 3_600_000);
    await runAll();
    expect((await read(id)).metadata?.doneCount).toBe(DEAD);
    expect(await countOf(job, "PENDING")).toBe(DEAD);
  });

  test("of the whole project leaves out the triggers of deleted jobs, and takes no other project's", async () => {
    const stranger = await bench.createJob(everySecond("payroll"), "proj_other");
    await bench.tick.run();
    for (const { id } of await bench.triggersOf(stranger.uid)) await bench.finish(id, "EXHAUSTED");
    const dead = await countOf(stranger, "EXHAUSTED");
    const { id, metadata } = await replay({ maxPerSecond: 1 });
    expect(metadata).toMatchObject({ job: "", jobUid: "", triggerCount: 2 * DEAD });
    await deleteJob(bench.parts, { projectId: PROJECT, name: "other" });
    // What is left out costs no chunk of its own, and the rate limits what is replayed.
    let chunks = 0;
    for (let second = 1; second <= DEAD + 1; second++) {
      while (await runOne()) chunks += 1;
      expect(await countOf(job, "PENDING")).toBe(Math.min(second, DEAD));
      bench.setTime(bench.parts.clock.now() + 1_000);
    }
    // At the end, one may leave out what is left, and one finds that nothing is left.
    expect(chunks).toBeLessThanOrEqual(DEAD + 2);
    expect(await read(id)).toMatchObject({
      state: OperationState.SUCCEEDED,
      metadata: { doneCount: DEAD, leftOutCount: DEAD },
    });
    expect(await countOf(stranger, "EXHAUSTED")).toBe(dead);
  });

  test("chooses by state and by nominal time, start inclusive and end exclusive", async () => {
    const [first, second, third] = await bench.triggersOf(job.uid);
    await bench.finish(second?.id ?? "", "CANCELLED");
    const range = {
      startTime: timestampFromMs(first?.atMs ?? 0),
      endTime: timestampFromMs(third?.atMs ?? 0),
    };
    const counts = async (init: Init) =>
      (await replay({ ...range, job: "payroll", ...init })).metadata?.triggerCount;
    expect(await counts({})).toBe(1);
    expect(await counts({ state: TriggerState.CANCELLED })).toBe(1);
    await runAll();
    expect((await bench.triggersOf(job.uid)).slice(0, 3).map(({ state }) => state)).toEqual([
      "PENDING",
      "PENDING",
      "EXHAUSTED",
    ]);
    const { startTime: endTime, endTime: startTime } = range;
    await expect(replay({ startTime, endTime })).rejects.toMatchObject({ reason: "FIELD_INVALID" });
    await expect(replay({ state: TriggerState.SUCCEEDED })).rejects.toMatchObject({
      violations: [
        { field: "state", description: expect.stringMatching(/^It is TRIGGER_STATE_SUCCEEDED. It must be/) },
      ],
    });
    await expect(replay({ job: "none" })).rejects.toMatchObject({ reason: "JOB_NOT_FOUND" });
  });

  test("ends when it is cancelled, and fails when its job is deleted", async () => {
    const cancelled = await replay({ job: "payroll", maxPerSecond: 2 });
    const failed = await replay({ job: "other" });
    await runOne();
    await cancelOperation(bench.parts, PROJECT, cancelled.id);
    await deleteJob(bench.parts, { projectId: PROJECT, name: "other" });
    bench.setTime(bench.parts.clock.now() + 60_000);
    await runAll();
    expect(await read(cancelled.id)).toMatchObject({
      state: OperationState.CANCELLED,
      metadata: { doneCount: 2 },
    });
    expect(await read(failed.id)).toMatchObject({
      state: OperationState.FAILED,
      error: 'The job "other" was deleted.',
    });
    expect([await countOf(job, "PENDING"), await countOf(other, "EXHAUSTED")]).toEqual([2, DEAD]);
  });

  test("is one operation for one request id, and a project may have five that are running", async () => {
    const same = await Promise.all(Array.from({ length: 8 }, () => replay({ requestId: "mend" })));
    expect(new Set(same.map(({ id }) => id)).size).toBe(1);
    const calls = await Promise.allSettled(Array.from({ length: 2 * MAX_RUNNING_REPLAYS }, () => replay()));
    expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(MAX_RUNNING_REPLAYS - 1);
    for (const call of calls) {
      if (call.status === "rejected")
        expect(call.reason).toMatchObject({ reason: "OPERATION_LIMIT_REACHED" });
    }
    await expect(replay({}, "proj_other")).resolves.toMatchObject({ state: OperationState.RUNNING });
    await expect(replay({ requestId: "mend", maxPerSecond: 1 })).rejects.toMatchObject({
      reason: "REQUEST_ID_REUSED",
    });
  });
});
