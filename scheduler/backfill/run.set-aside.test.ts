import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BackfillJobRequestSchema, OperationState } from "../../gen/easycron/v1/operation_pb.ts";
import type { Logger } from "../../mesh/logger.ts";
import { createScheduleCache } from "../job/schedule-cache.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { backfillJob } from "./backfill.ts";
import { getOperation } from "./operations.ts";
import { BackfillSetAsideError, runBackfill, startBackfills } from "./run.ts";

const START = Date.UTC(2026, 2, 2, 12);
const HOUR = 3_600_000;
const MINUTE = 60_000;
const CUSTOMER = "proj_bad";

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

/** Creates an hourly job and a backfill of its last three hours. */
async function backfill(projectId: string, name: string): Promise<{ jobUid: string; id: string }> {
  const job = await bench.createJob(
    {
      name,
      schedules: [{ kind: { case: "cron", value: { expression: "0 * * * *" } } }],
      target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    },
    projectId,
  );
  const range = { startTime: timestampFromMs(START - 3 * HOUR), endTime: timestampFromMs(START) };
  const request = create(BackfillJobRequestSchema, { name, ...range });
  const { id } = await backfillJob(bench.parts, projectId, request);
  return { jobUid: job.uid, id };
}

/** A scheduler that has compiled nothing yet. */
const fresh = () => ({ ...bench.parts, schedules: createScheduleCache(100, bench.parts.zoneData) });
const damage = (jobUid: string) =>
  bench.spoil("scheduler", "update scheduler.revisions set spec = '\"nonsense\"' where job_uid = $1", [
    jobUid,
  ]);

test("a backfill that cannot go on is set aside, and that of another project runs at once", async () => {
  const bad = await backfill(CUSTOMER, "bad");
  const good = await backfill(PROJECT, "good");
  await damage(bad.jobUid);
  const parts = fresh();
  const told: object[] = [];
  const done = Promise.withResolvers<void>();
  const logger = { error: (fields: object) => void told.push(fields) } as unknown as Logger;
  // A loop that stopped at the failure would look again after half a second only.
  const handOver: typeof parts.handOver = {
    ...parts.handOver,
    send: async (events) => {
      const refused = await parts.handOver.send(events);
      done.resolve();
      return refused;
    },
  };
  const backfills = startBackfills({ ...parts, handOver }, logger);
  await done.promise;
  await backfills.stop();
  expect(await bench.triggersOf(good.jobUid)).toHaveLength(3);
  expect(told).toMatchObject([{ operation: bad.id, failures: 1, retryTimeMs: START + MINUTE }]);
});

test("a backfill that is set aside waits longer after each failure, and goes on when it works again", async () => {
  const bad = await backfill(CUSTOMER, "bad");
  await damage(bad.jobUid);
  const pauses: number[] = [];
  for (let n = 0; n < 3; n++) {
    const nowMs = bench.parts.clock.now();
    const error = await runBackfill(fresh()).then(
      () => undefined,
      (failed: unknown) => failed,
    );
    if (!(error instanceof BackfillSetAsideError)) throw error;
    pauses.push((error.aside.retryTimeMs - nowMs) / MINUTE);
    bench.setTime(error.aside.retryTimeMs - 1);
    expect(await runBackfill(fresh())).toBe(false);
    bench.setTime(error.aside.retryTimeMs);
  }
  expect(pauses).toEqual([1, 2, 4]);
  // The cache still has what the specification was.
  while (await runBackfill(bench.parts)) bench.setTime(bench.parts.clock.now() + 2_000);
  expect(await getOperation(bench.parts, CUSTOMER, bad.id)).toMatchObject({
    state: OperationState.SUCCEEDED,
  });
});

test("a backfill whose trigger a dispatcher refuses is set aside", async () => {
  const bad = await backfill(CUSTOMER, "bad");
  const handOver = {
    ...bench.parts.handOver,
    send: async (events: readonly { readonly triggerId: string }[]) =>
      events
        .slice(0, 1)
        .map(({ triggerId }) => ({ triggerId, problem: "value out of range", isTransient: false })),
  };
  await expect(runBackfill({ ...bench.parts, handOver })).rejects.toMatchObject({
    name: "BackfillSetAsideError",
    operation: bad.id,
    cause: { cause: { message: expect.stringContaining("value out of range") } },
  });
});
