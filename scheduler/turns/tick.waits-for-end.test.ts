import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../db/pool.ts";
import { OverlapPolicy } from "../../gen/easycron/v1/job_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { DiscardTriggersRequestSchema } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { discardTriggers } from "../changes/discard-triggers.ts";
import { pauseJob } from "../changes/pause-job.ts";
import type { JobRow } from "../job/job.ts";
import { readJob } from "../reading/read-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "./tick.ts";

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;
const reference = { projectId: PROJECT, name: "payroll" };

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** A job that fires every minute and waits for its earlier trigger. */
const buffering = (name: string) =>
  bench.createJob({
    name,
    schedules: [{ kind: { case: "cron", value: { expression: "* * * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    overlapPolicy: OverlapPolicy.BUFFER_ONE,
  });
/** Ticks at an instant, in minutes from the start. */
const at = async (minutes: number) => {
  bench.setTime(START + minutes * MINUTE);
  while ((await bench.tick.run()).more);
};
const minutes = async (job: JobRow) =>
  (await bench.triggersOf(job.uid)).map(({ atMs }) => (atMs - START) / MINUTE);

describe("a job that waits for the end of an earlier trigger", () => {
  /** Ends the triggers of a job without waking it, as if the dispatcher had died at that moment. */
  const endUnnoticed = (job: JobRow) =>
    bench.spoil(
      "dispatcher",
      "update dispatcher.triggers set state = 'SUCCEEDED', end_time = effective_time where job_uid = $1",
      [job.uid],
    );

  test("takes a turn at its fire times and twice a minute, however long that is", async () => {
    const jobs = 200;
    for (let index = 0; index < jobs; index++) await buffering(`payroll-${index}`);
    let turns = 0;
    const { database } = bench.parts;
    const counting: Database = {
      ...database,
      transaction: (work) =>
        database.transaction((tx) =>
          work({
            query: (statement, values) => {
              const [uids] = values ?? [];
              if (statement.name === "jobAdvance") turns += String(uids).split(",").length;
              return tx.query(statement, values);
            },
          }),
        ),
    };
    const onTrouble = (_: string, error: unknown) => {
      throw error;
    };
    const tick = createTick({ ...bench.parts, database: counting, onTrouble });
    const tickUntil = async (endMs: number) => {
      for (let now = bench.parts.clock.now(); now <= endMs; now += 250) {
        bench.setTime(now);
        while ((await tick.run()).more);
      }
    };
    // The first fire time makes a trigger, which hangs; the second one waits.
    await tickUntil(START + 2 * MINUTE);
    turns = 0;
    await tickUntil(START + 4 * MINUTE);
    expect(turns).toBeLessThanOrEqual(4 * jobs);
    expect(turns).toBeGreaterThanOrEqual(2 * jobs);
  });

  test("hands over at the next tick after the dispatcher has woken it", async () => {
    const job = await buffering("payroll");
    await at(1);
    await at(2);
    bench.setTime(START + 2.1 * MINUTE);
    await bench.tick.run();
    expect(await minutes(job)).toEqual([1]);
    await bench.succeed(job.uid);
    await bench.tick.run();
    expect(await minutes(job)).toEqual([1, 2]);
  });

  test("hands over at the next tick after its earlier trigger was discarded", async () => {
    const job = await buffering("payroll");
    await at(1);
    await at(2);
    bench.setTime(START + 2.1 * MINUTE);
    const endTime = timestampFromMs(START + 1.5 * MINUTE);
    const request = create(DiscardTriggersRequestSchema, { kind: TriggerKind.SCHEDULED, endTime });
    expect(await discardTriggers(bench.parts, PROJECT, request)).toMatchObject({ discardedCount: 1 });
    await bench.tick.run();
    expect(await minutes(job)).toEqual([1, 2]);
  });

  test("finds the end by itself within 30 s when it is not woken", async () => {
    const job = await buffering("payroll");
    await at(1);
    await at(2);
    await endUnnoticed(job);
    await at(2.4);
    expect(await minutes(job)).toEqual([1]);
    await at(2.5);
    expect(await minutes(job)).toEqual([1, 2]);
  });

  test("stays paused when a trigger ends during its pause", async () => {
    const job = await buffering("payroll");
    await at(1);
    await at(2);
    await pauseJob(bench.parts, reference, { note: "", untilMs: null });
    await bench.succeed(job.uid);
    expect(await readJob(bench.parts, PROJECT, reference)).toMatchObject({
      state: "PAUSED",
      wake_time: null,
    });
  });
});
