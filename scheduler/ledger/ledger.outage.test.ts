import { create } from "@bufbuild/protobuf";
import { type Duration, durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MisfirePolicy, OverlapPolicy } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { DiscardTriggersRequestSchema } from "../../gen/easycron/v1/trigger_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { backfillJob } from "../backfill/backfill.ts";
import { runBackfill } from "../backfill/run.ts";
import { discardTriggers } from "../changes/discard-triggers.ts";
import { pauseJob } from "../changes/pause-job.ts";
import { updateJob } from "../changes/update-job.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";

const START = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

interface Policies {
  readonly misfirePolicy?: MisfirePolicy;
  readonly overlapPolicy?: OverlapPolicy;
  readonly flexibleWindow?: Duration;
}
const minutely = (name: string, more: Policies = {}) =>
  bench.createJob({
    name,
    schedules: [{ kind: { case: "cron", value: { expression: "* * * * *" } } }],
    target: { kind: { case: "webhook", value: { url: "https://example.com/" } } },
    ...more,
  });
const again = async ({ uid }: JobRow): Promise<JobRow> => {
  const [row] = await bench.parts.database.query(jobByUid, [PROJECT, uid]);
  if (row === undefined) throw new Error("The job is gone.");
  return row;
};
const run = async () => {
  while ((await bench.tick.run()).more);
};
const triggers = async (job: JobRow) =>
  (await bench.triggersOf(job.uid)).map(({ atMs, kind, seq }) => `${(atMs - START) / MINUTE} ${kind} ${seq}`);
const audit = (job: JobRow) => auditJob(bench.parts, job, START, bench.parts.clock.now());

describe("the backlog of an outage", () => {
  test("of many jobs does not delay a job that is on time", async () => {
    const misfirePolicy = MisfirePolicy.SKIP;
    for (let n = 0; n < 20; n++) await bench.createJob({ ...everySecond(`late-${n}`), misfirePolicy });
    const outageMs = 3 * 3_600_000;
    bench.setTime(START + outageMs);
    const onTime = await minutely("on-time");
    let looks = 0;
    // 216,000 fire times are owed: many looks' worth. The job that is on time is in the first ones.
    for (; looks < 200; looks++) {
      const { more } = await bench.tick.run();
      if (looks === 2) {
        bench.setTime(START + outageMs + MINUTE - 4_000);
        await bench.tick.run();
        expect(await triggers(onTime)).toHaveLength(1);
        expect(more).toBe(true);
      }
      if (!more) break;
    }
    expect(looks).toBeGreaterThan(8);
  });

  test("is also reported when a change of the job decides it", async () => {
    await minutely("payroll", { misfirePolicy: MisfirePolicy.SKIP });
    bench.setTime(START + 30 * MINUTE + 1_000);
    await pauseJob(bench.parts, { projectId: PROJECT, name: "payroll" }, { note: "", untilMs: null });
    expect(bench.missed).toMatchObject([{ reason: "MISFIRE_POLICY", count: 29 }]);
  });

  test("is marked as catch-up, also when it waits for an earlier trigger, and is discarded as catch-up", async () => {
    const job = await minutely("payroll", { overlapPolicy: OverlapPolicy.BUFFER_ALL });
    bench.setTime(START + 5 * MINUTE + 30_000);
    await run();
    expect(await triggers(job)).toEqual(["1 CATCHUP 1"]);
    await bench.succeed(job.uid);
    bench.setTime(bench.parts.clock.now() + 200);
    await run();
    expect(await triggers(job)).toEqual(["1 CATCHUP 1", "2 CATCHUP 2"]);
    const request = create(DiscardTriggersRequestSchema, { job: "payroll", kind: TriggerKind.CATCHUP });
    expect(await discardTriggers(bench.parts, PROJECT, request)).toMatchObject({ discardedCount: 4 });
    expect(await audit(job)).toMatchObject({ differences: [] });
  });

  test("returns its catch-up slots when it is discarded", async () => {
    await bench.createJob({ ...everySecond("a"), maxCatchup: 4_000 });
    bench.setTime(START + 3_000_000);
    await run();
    const kind = TriggerKind.CATCHUP;
    await discardTriggers(bench.parts, PROJECT, create(DiscardTriggersRequestSchema, { job: "a", kind }));
    const other = await bench.createJob(everySecond("b"));
    bench.setTime(START + 3_000_000 + 60_000);
    await run();
    const [first] = (await bench.triggersOf(other.uid)).filter((each) => each.kind === "CATCHUP");
    expect((first?.effectiveMs ?? 0) - bench.parts.clock.now()).toBeLessThan(1_000);
  });
});

describe("a backfill leaves to the job's turns", () => {
  const backfill = async (fromMinute: number, toMinute: number) => {
    const request = create(BackfillJobRequestSchema, {
      name: "payroll",
      startTime: timestampFromMs(START + fromMinute * MINUTE),
      endTime: timestampFromMs(START + toMinute * MINUTE),
    });
    const operation = await backfillJob(bench.parts, PROJECT, request);
    while (await runBackfill(bench.parts)) bench.setTime(bench.parts.clock.now() + 1_000);
    return operation;
  };

  test("fire times that they have not decided", async () => {
    const job = await minutely("payroll");
    bench.setTime(START + 10 * MINUTE);
    expect(await backfill(5, 10)).toMatchObject({ metadata: { activeCount: 5, triggerCount: 0 } });
    await run();
    expect((await triggers(job)).map((each) => each.split(" ").at(-1))).toEqual(
      Array.from({ length: 10 }, (_, index) => `${index + 1}`),
    );
    expect(await audit(job)).toMatchObject({ differences: [] });
  });

  test("fire times that wait for their delay", async () => {
    const job = await minutely("payroll", { flexibleWindow: durationFromMs(MINUTE) });
    bench.setTime(START + MINUTE + 1);
    await run();
    const waits = (await again(job)).carry.waiting ?? [];
    if (waits.length > 0)
      expect(await backfill(1, 1 + 1 / MINUTE)).toMatchObject({ metadata: { activeCount: 1 } });
    bench.setTime(START + 2 * MINUTE - 1);
    await run();
    expect((await triggers(job))[0]).toMatch(/^1 (SCHEDULED|CATCHUP) 1$/);
  });
});

describe("a pause that ended before any tick looked at the job", () => {
  test("ends at its stated end when the job is changed: later fire times are not skipped and belong to the old revision", async () => {
    const job = await minutely("payroll");
    const until = START + 3 * MINUTE;
    await pauseJob(bench.parts, { projectId: PROJECT, name: "payroll" }, { note: "", untilMs: until });
    bench.setTime(START + 6 * MINUTE + 30_000);
    const schedules = [{ kind: { case: "cron" as const, value: { expression: "*/2 * * * *" } } }];
    await updateJob(
      bench.parts,
      PROJECT,
      create(UpdateJobRequestSchema, { job: { name: "payroll", schedules } }),
    );
    bench.setTime(START + 8 * MINUTE);
    await run();
    const made = await bench.triggersOf(job.uid);
    expect(made.map(({ atMs, revision }) => [(atMs - START) / MINUTE, revision])).toEqual([
      [3, 1],
      [4, 1],
      [5, 1],
      [6, 1],
      [8, 2],
    ]);
    expect(await audit(job)).toMatchObject({ fireTimeCount: 6, differences: [] });
  });
});

describe("a buffer", () => {
  test("has room for the configured number of fire times, whether or not they waited for a delay before", async () => {
    const job = await minutely("payroll", {
      overlapPolicy: OverlapPolicy.BUFFER_ONE,
      flexibleWindow: durationFromMs(50_000),
    });
    for (let at = START; at <= START + 10 * MINUTE; at += 10_000) {
      bench.setTime(at);
      await run();
    }
    expect((await again(job)).carry.waiting?.length).toBeLessThanOrEqual(2);
    expect(await triggers(job)).toHaveLength(1);
    expect(await audit(job)).toMatchObject({ differences: [] });
  });

  test("releases no more than maxFires when that is lowered while fire times wait", async () => {
    const job = await minutely("payroll", { overlapPolicy: OverlapPolicy.BUFFER_ALL });
    for (let minute = 1; minute <= 6; minute++) {
      bench.setTime(START + minute * MINUTE);
      await run();
    }
    await updateJob(
      bench.parts,
      PROJECT,
      create(UpdateJobRequestSchema, { job: { name: "payroll", maxFires: 2 } }),
    );
    for (let minute = 7; minute <= 12; minute++) {
      await bench.succeed(job.uid);
      bench.setTime(START + minute * MINUTE);
      await run();
    }
    expect(await triggers(job)).toEqual(["1 SCHEDULED 1", "2 SCHEDULED 2"]);
    expect((await again(job)).state).toBe("FINISHED");
    expect(await audit(job)).toMatchObject({ differences: [] });
  });
});

test("a job with an overlap policy is decided exactly at its fire time, not at the next tick", async () => {
  await minutely("payroll", { overlapPolicy: OverlapPolicy.SKIP });
  bench.setTime(START + 59_000);
  await run();
  const { againMs } = await bench.tick.run();
  expect(againMs).toBe(1_000);
});
