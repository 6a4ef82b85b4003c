import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SkipFireTimeRequestSchema } from "../../gen/easycron/v1/ledger_service_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { pauseJob } from "../changes/pause-job.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import type { JobRow } from "../job/job.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { everySecond, openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { horizonOf, stepMsFor } from "./horizon.ts";
import { takeTurn } from "./turn.ts";

const START = Date.UTC(2026, 0, 1);
const LOOK_AHEAD_MS = 5_000;
const STEP_MS = 3_000;

let bench: SchedulerBench;
beforeEach(async () => {
  bench = await openBench(START, { stepMs: STEP_MS });
});
afterEach(() => bench.close());

test("a job that fires every second takes one turn for three fire times, and each is handed over in time", async () => {
  const job = await bench.createJob(everySecond("job"));
  let turns = 0;
  for (let now = START; now < START + 30_000; now += 250) {
    bench.setTime(now);
    const { events } = await bench.tick.run();
    if (events > 0) turns += 1;
    const last = (await bench.triggersOf(job.uid)).at(-1);
    expect(last?.atMs).toBeGreaterThan(now + LOOK_AHEAD_MS - 1_000 - 250);
    expect(last?.atMs).toBeLessThan(now + LOOK_AHEAD_MS + STEP_MS);
  }
  expect(turns).toBeLessThanOrEqual(11);
  const seqs = (await bench.triggersOf(job.uid)).map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_, index) => index + 1));
});

test("a change takes back what was handed over within a step, and the ledger stays complete", async () => {
  const job = await bench.createJob(everySecond("job"));
  bench.setTime(START + 10_000);
  await bench.tick.run();
  await pauseJob(bench.parts, { projectId: PROJECT, name: "job" }, { note: "", untilMs: null });
  const left = await bench.triggersOf(job.uid);
  expect(left.at(-1)?.atMs).toBe(START + 10_000);
  bench.setTime(START + 20_000);
  const audit = await auditJob(bench.parts, { uid: job.uid, project_id: PROJECT }, START, START + 19_000);
  expect(audit?.differences).toEqual([]);
});

test("a fire time handed over in a step whose commit was lost is skipped by request, although the clock was set back", async () => {
  const job = await bench.createJob(everySecond("job"));
  // The turn of this instant looks as far ahead as any.
  const furthestMs = horizonOf(job.uid, START + 20_000, STEP_MS);
  const nowMs = furthestMs - LOOK_AHEAD_MS - STEP_MS + 1;
  bench.setTime(nowMs);
  bench.setAnswerLost(true);
  await expect(bench.tick.run()).rejects.toMatchObject({ reason: "SERVICE_UNAVAILABLE" });
  bench.setAnswerLost(false);
  const lastMs = (await bench.triggersOf(job.uid)).at(-1)?.atMs ?? 0;
  expect(lastMs).toBe(Math.floor(furthestMs / 1_000) * 1_000);
  bench.setTime(lastMs - 2 * LOOK_AHEAD_MS - 1);
  const nominalTime = timestampFromMs(lastMs);
  await skipFireTime(bench.parts, PROJECT, create(SkipFireTimeRequestSchema, { job: "job", nominalTime }));
  expect((await bench.triggersOf(job.uid)).map(({ atMs }) => atMs)).not.toContain(lastMs);
  bench.setTime(lastMs + 5_000);
  while ((await bench.tick.run()).more);
  expect((await bench.triggersOf(job.uid)).map(({ atMs }) => atMs)).not.toContain(lastMs);
  const audit = await auditJob(bench.parts, { uid: job.uid, project_id: PROJECT }, START, lastMs + 1);
  expect(audit?.differences).toEqual([]);
});

test("steps end at other moments for other jobs, and each end is later than the look-ahead by less than a step", () => {
  const ends = Array.from({ length: 1_000 }, (_, index) => horizonOf(`job_${index}`, START, STEP_MS) - START);
  expect(Math.min(...ends)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...ends)).toBeLessThan(STEP_MS);
  const thirds = [0, 1, 2].map((third) => ends.filter((end) => Math.floor(end / 1_000) === third).length);
  expect(Math.min(...thirds)).toBeGreaterThan(250);
});

test("nothing is handed over further ahead than a dispatcher holds, or than twice the look-ahead", () => {
  for (const lookAheadMs of [1_000, 2_500, 5_000, 7_500, 9_000]) {
    const furthest = lookAheadMs + stepMsFor(lookAheadMs);
    expect(furthest).toBeLessThanOrEqual(Math.min(9_000, 2 * lookAheadMs));
  }
});

/** The fire times of a job by ticks of 250 ms, as links of its chain. */
function linksOf(schedule: CompiledSchedule, stepMs: number, untilMs: number): unknown[] {
  let row = {
    uid: schedule.jobUid,
    state: "ACTIVE",
    epoch: 1,
    revision: 1,
    next_fire_time: schedule.nextAfter(START),
    last_fire_time: null,
    last_seq: 0,
    wake_time: START,
    after_time: START,
    update_time: START,
    carry: {},
  } as unknown as JobRow;
  const links: unknown[] = [];
  for (let nowMs = START; nowMs <= untilMs; nowMs += 250) {
    if (row.wake_time === null || row.wake_time > nowMs) continue;
    const horizonMs = horizonOf(row.uid, nowMs + LOOK_AHEAD_MS, stepMs);
    const base = { schedule, gates: [], busy: false, handed: [], limit: 1_000, zoneData: "2026a" };
    const turn = takeTurn({ ...base, row, nowMs, lookAheadMs: LOOK_AHEAD_MS, horizonMs });
    links.push(...turn.events.filter(({ effectiveTimeMs }) => Number(effectiveTimeMs) <= untilMs));
    const { nextFireTimeMs, lastFireTimeMs, lastSeq, carry } = turn.position;
    row = {
      ...row,
      next_fire_time: nextFireTimeMs,
      last_fire_time: lastFireTimeMs,
      last_seq: lastSeq,
      wake_time: turn.wakeMs,
      carry,
    };
  }
  return links;
}

test("with steps a job has the same triggers as without", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(0, 700, 4_000),
      fc.constantFrom(0, 3),
      fc.string({ minLength: 1 }),
      (seconds, windowMs, maxFires, jobUid) => {
        const schedule: CompiledSchedule = {
          jobUid,
          nextAfter: (after) =>
            START + (Math.floor((after - START) / (seconds * 1_000)) + 1) * seconds * 1_000,
          plan: { schedules: [], ...(windowMs === 0 ? {} : { flexibleWindow: { jobUid, windowMs } }) },
          policies: {
            maxFires,
            misfire: "FIRE_ALL",
            catchupWindowMs: 3_600_000,
            maxCatchup: 1_000,
            overlap: "ALLOW_ALL",
            bufferRoom: 0,
            deleteFinished: false,
          },
          calendars: [],
          zoneData: "2026a",
          zones: [],
        };
        const untilMs = START + 40_000;
        const withSteps = linksOf(schedule, STEP_MS, untilMs);
        expect(withSteps).toEqual(linksOf(schedule, 0, untilMs));
        expect(withSteps.length).toBeGreaterThan(0);
      },
    ),
  );
});
