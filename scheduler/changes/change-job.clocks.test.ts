import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MisfirePolicy, OverlapPolicy } from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import type { JobRow } from "../job/job.ts";
import { skipsBetween } from "../job/skips.sql.ts";
import type { Parts } from "../parts.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { createTick } from "../turns/tick.ts";
import { pauseJob, resumeJob } from "./pause-job.ts";
import { updateJob } from "./update-job.ts";

const START = Date.UTC(2026, 0, 1);
const RUNS = Number(process.env.EASYCRON_PROPERTY_RUNS ?? 12);
const LIMIT_MS = Math.max(240_000, 5_000 * RUNS);

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START);
});
afterEach(() => bench.close());

const tickAll = async () => {
  while ((await bench.tick.run()).more);
};
const change = (parts: Parts, name: string, maxCatchup: number) =>
  updateJob(
    parts,
    PROJECT,
    create(UpdateJobRequestSchema, { job: { name, maxCatchup }, updateMask: { paths: ["max_catchup"] } }),
  );
const triggered = async (job: JobRow) =>
  (await bench.triggersOf(job.uid)).map(({ atMs }) => (atMs - START) / 1_000);
const skipped = async (job: JobRow) => {
  const values = [job.uid, new Date(START).toISOString(), new Date(START + 60_000).toISOString()];
  const rows = await bench.parts.database.query(skipsBetween, values);
  return rows.map((row) => [row.first_fire_time - START, row.last_fire_time - START]);
};
const differences = async (job: JobRow, untilMs: number) => {
  const audit = await auditJob(bench.parts, { uid: job.uid, project_id: PROJECT }, START, untilMs);
  return audit?.differences;
};

describe("a change made by a clock that is behind", () => {
  for (const behindMs of [300, 5_000]) {
    test(`by ${behindMs} ms does not let a skipped fire time fire too`, async () => {
      const job = await bench.createJob({ ...everySecond("job"), overlapPolicy: OverlapPolicy.SKIP });
      for (let second = 1; second <= 7; second++) {
        bench.setTime(START + second * 1_000);
        await tickAll();
      }
      // The first trigger has not ended, so the others are skipped.
      expect(await triggered(job)).toEqual([1]);
      expect(await skipped(job)).toEqual([[2_000, 7_000]]);
      bench.setTime(START + 7_000 - behindMs);
      await change(bench.parts, "job", 7);
      await bench.finish((await bench.triggersOf(job.uid))[0]?.id ?? "", "SUCCEEDED");
      for (const second of [7 - behindMs / 1_000, 7, 8, 9]) {
        bench.setTime(START + second * 1_000);
        await tickAll();
      }
      expect((await triggered(job)).slice(0, 2)).toEqual([1, 8]);
      bench.setTime(START + 30_000);
      expect(await differences(job, START + 9_000)).toEqual([]);
    });

    test(`by ${behindMs} ms does not end a pause before it began`, async () => {
      const job = await bench.createJob(everySecond("job"));
      for (let second = 1; second <= 7; second++) {
        bench.setTime(START + second * 1_000);
        await tickAll();
        await bench.succeed(job.uid);
      }
      const reference = { projectId: PROJECT, name: "job" };
      const paused = await pauseJob(bench.parts, reference, { note: "", untilMs: null });
      bench.setTime(START + 7_000 - behindMs);
      const resumed = await resumeJob(bench.parts, reference);
      expect(resumed).toMatchObject({ state: "ACTIVE", after_time: paused.after_time });
      bench.setTime(START + 9_000);
      await tickAll();
      expect(await differences(job, START + 9_000)).toEqual([]);
    });
  }

  test("does not begin an epoch before a trigger that has ended", async () => {
    const job = await bench.createJob({ ...everySecond("job"), overlapPolicy: OverlapPolicy.BUFFER_ONE });
    for (let second = 1; second <= 4; second++) {
      bench.setTime(START + second * 1_000);
      await tickAll();
      await bench.succeed(job.uid);
    }
    bench.setTime(START + 1_500);
    const { row } = await change(bench.parts, "job", 7);
    expect(row).toMatchObject({ after_time: START + 4_000, update_time: START + 1_500 });
  });
});

type Step =
  | { readonly kind: "tick" | "change" | "resume" | "finish" | "start" | "crash"; readonly ms: number }
  | { readonly kind: "pause"; readonly ms: number; readonly forMs: number | null };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("tick" as const),
      ms: fc.integer({ min: 50, max: 1_500 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("change", "resume", "finish", "start", "crash"),
      ms: fc.integer({ min: 0, max: 700 }),
    }),
  },
  fc.record({
    kind: fc.constant("pause" as const),
    ms: fc.integer({ min: 0, max: 700 }),
    forMs: fc.option(fc.integer({ min: 1_000, max: 9_000 })),
  }),
);

test(
  "whatever two schedulers with different clocks do to a job, the audit finds no difference",
  async () => {
    let made = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          overlapPolicy: fc.constantFrom(
            OverlapPolicy.ALLOW_ALL,
            OverlapPolicy.SKIP,
            OverlapPolicy.BUFFER_ONE,
            OverlapPolicy.BUFFER_ALL,
          ),
          misfirePolicy: fc.constantFrom(MisfirePolicy.FIRE_ALL, MisfirePolicy.SKIP),
        }),
        // How far the clocks of the two schedulers are off, in milliseconds; it changes when a clock is set.
        fc.array(fc.integer({ min: -6_000, max: 6_000 }), { minLength: 2, maxLength: 6 }),
        fc.array(fc.tuple(fc.nat(), step), { minLength: 5, maxLength: 40 }),
        async (policies, skews, steps) => {
          made += 1;
          const name = `job-${made}`;
          let nowMs = START + made * 3_600_000;
          const startMs = nowMs;
          bench.setTime(nowMs);
          const job = await bench.createJob({ ...everySecond(name), ...policies });
          const reference = { projectId: PROJECT, name };
          for (const [who, each] of steps) {
            nowMs += each.ms;
            // The dispatchers' clock is the true one.
            bench.setTime(nowMs);
            const skewMs = skews[who % skews.length] ?? 0;
            const parts = { ...bench.parts, clock: { now: () => nowMs + skewMs } };
            await take(parts, job, reference, each);
          }
          nowMs += 3_000;
          bench.setTime(nowMs);
          await tickAll();
          await pauseJob(bench.parts, reference, { note: "", untilMs: null });
          bench.setTime(nowMs + 120_000);
          const audit = await auditJob(
            bench.parts,
            { uid: job.uid, project_id: PROJECT },
            startMs,
            nowMs - 2_000,
          );
          expect(audit?.differences.slice(0, 3)).toEqual([]);
        },
      ),
      { numRuns: RUNS, interruptAfterTimeLimit: LIMIT_MS },
    );
  },
  2 * LIMIT_MS,
);

async function take(
  parts: Parts,
  job: JobRow,
  reference: { readonly projectId: string; readonly name: string },
  each: Step,
): Promise<void> {
  const onTrouble = (_: string, error: unknown) => {
    throw error;
  };
  switch (each.kind) {
    case "tick": {
      const tick = createTick({ ...parts, onTrouble });
      while ((await tick.run()).more);
      return;
    }
    case "crash":
      bench.setAnswerLost(true);
      await createTick({ ...parts, onTrouble })
        .run()
        .catch(() => {});
      return bench.setAnswerLost(false);
    case "change":
      await change(parts, reference.name, 1 + (each.ms % 100));
      return;
    case "resume":
      await resumeJob(parts, reference);
      return;
    case "pause": {
      const untilMs = each.forMs === null ? null : parts.clock.now() + each.forMs;
      await pauseJob(parts, reference, { note: "", untilMs });
      return;
    }
    case "finish":
      return bench.succeed(job.uid);
    case "start": {
      const nowMs = bench.parts.clock.now();
      const due = (await bench.triggersOf(job.uid)).find(
        ({ state, effectiveMs }) => state === "PENDING" && effectiveMs <= nowMs,
      );
      if (due !== undefined) await bench.start(due.id);
    }
  }
}
