import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { type Job, type JobSchema, Outside, OverlapPolicy } from "../../gen/easycron/v1/job_pb.ts";
import { Verdict } from "../../gen/easycron/v1/ledger_pb.ts";
import {
  ListFireTimesRequestSchema,
  SkipFireTimeRequestSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { PreviewScheduleRequestSchema } from "../../gen/easycron/v1/schedule_service_pb.ts";
import { createCalendar } from "../calendars/change.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import type { JobRow } from "../job/job.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { listFireTimes } from "../ledger/list-fire-times.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { previewSchedule } from "./preview-schedule.ts";

const START = Date.UTC(2026, 2, 27, 22);
const MINUTE = 60_000;
const RUNS = Number(process.env.EASYCRON_PROPERTY_RUNS ?? 8);
/** How far each job is ticked after it has been previewed. */
const PLAYED_MS = 300 * MINUTE;

type Specification = Exclude<MessageInitShape<typeof JobSchema>, Job>;

const schedule = fc.oneof(
  fc
    .constantFrom("*/5 * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15,45 1-4 * * *")
    .map((expression) => ({
      kind: { case: "cron" as const, value: { expression } },
      timeZone: "Europe/Paris",
    })),
  fc.integer({ min: 200, max: 4_000 }).map((seconds) => ({
    kind: { case: "rate" as const, value: { every: durationFromMs(seconds * 1_000) } },
  })),
);

const specification: fc.Arbitrary<Specification> = fc.record({
  schedules: fc.array(schedule, { minLength: 1, maxLength: 3 }),
  calendars: fc.constantFrom(
    [],
    [{ name: "night", outside: Outside.SKIP }],
    [{ name: "night", outside: Outside.DEFER }],
    [
      { name: "night", outside: Outside.DEFER },
      { name: "halves", outside: Outside.SKIP },
    ],
    [{ name: "halves", outside: Outside.DEFER }],
  ),
  flexibleWindow: fc.constantFrom(0, 0, 45_000, 3_600_000).map(durationFromMs),
  overlapPolicy: fc.constantFrom(OverlapPolicy.ALLOW_ALL, OverlapPolicy.ALLOW_ALL, OverlapPolicy.SKIP),
  maxFires: fc.constantFrom(0, 0, 3, 8),
  startTime: fc.option(fc.integer({ min: -60, max: 90 }), { nil: undefined }).map(toTime),
  endTime: fc.option(fc.integer({ min: 120, max: 400 }), { nil: undefined }).map(toTime),
});

function toTime(minutes: number | undefined) {
  return minutes === undefined ? undefined : timestampFromMs(START + minutes * MINUTE);
}

let bench: SchedulerBench;
beforeAll(async () => {
  bench = await openBench(START);
  const days = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];
  const halves = ["00", "01", "02", "03", "04", "05", "06", "07", "08"].map((hour) => ({
    days,
    start: `${hour}:10`,
    end: `${hour}:40`,
  }));
  for (const [name, windows] of [
    ["night", [{ days, start: "02:00", end: "05:00" }]],
    ["halves", halves],
  ] as const) {
    const calendar = create(CalendarSchema, { name, timeZone: "Europe/Paris", windows: [...windows] });
    await createCalendar(bench.parts, PROJECT, calendar);
  }
});
afterAll(() => bench.close());

async function preview(name: string, afterMs: number, { showSkipped = true, count = 1_000 } = {}) {
  const request = create(PreviewScheduleRequestSchema, {
    source: { case: "name", value: name },
    after: timestampFromMs(afterMs),
    count,
    showSkipped,
  });
  const { fireTimes = [] } = await previewSchedule(bench.parts, PROJECT, request);
  return fireTimes.map(({ nominalTime, effectiveTime, skippedBefore }) => ({
    atMs: timestampMs(nominalTime as never),
    effectiveMs: effectiveTime === undefined ? null : timestampMs(effectiveTime as never),
    skippedBefore,
  }));
}

type Previewed = Awaited<ReturnType<typeof preview>>[number];

/** Leaves out the fire times without a trigger from a full preview, and counts them. */
function countSkipped(all: readonly Previewed[]): Previewed[] {
  let skippedBefore = 0;
  return all.flatMap((each) => {
    if (each.effectiveMs === null) {
      skippedBefore += 1;
      return [];
    }
    const shown = { ...each, skippedBefore };
    skippedBefore = 0;
    return [shown];
  });
}

/** Ticks whenever the job is to be woken, and brings each trigger that is due to rest. */
async function tickUntil(job: JobRow, untilMs: number): Promise<void> {
  while (bench.parts.clock.now() < untilMs) {
    const nowMs = bench.parts.clock.now();
    const wakeMs = (await nextWake(job)) ?? untilMs;
    bench.setTime(Math.min(untilMs, Math.max(nowMs + 1, wakeMs)));
    await bench.succeed(job.uid);
    while ((await bench.tick.run()).more);
    await bench.succeed(job.uid);
  }
}

async function nextWake(job: JobRow): Promise<number | null> {
  const [row] = await bench.parts.database.query(jobByUid, [PROJECT, job.uid]);
  return row?.wake_time ?? null;
}

/** What the ledger and the triggers say of the fire times from `afterMs` on, exclusive. */
async function truth(job: JobRow, afterMs: number, untilMs: number) {
  const effective = new Map((await bench.triggersOf(job.uid)).map((each) => [each.atMs, each.effectiveMs]));
  const request = create(ListFireTimesRequestSchema, {
    job: job.name,
    startTime: timestampFromMs(afterMs + 1),
    endTime: timestampFromMs(untilMs),
    pageSize: 1_000,
  });
  const { fireTimes = [] } = await listFireTimes(bench.parts, PROJECT, request);
  return fireTimes.map(({ nominalTime, verdict, reason }) => {
    const atMs = timestampMs(nominalTime as never);
    expect(verdict, `${new Date(atMs).toISOString()}, reason ${reason}`).not.toBe(Verdict.MISSED);
    return { atMs, verdict, effectiveMs: effective.get(atMs) ?? null };
  });
}

let made = 0;

test("a preview shows exactly what the scheduler does later", async () => {
  const waits = fc.integer({ min: 0, max: 300 });
  await fc.assert(
    fc.asyncProperty(specification, waits, waits, fc.boolean(), async (spec, waited, ahead, skipping) => {
      bench.setTime(START);
      const target = { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } };
      const job = await bench.createJob({ ...spec, name: `job-${made++}`, target });
      await tickUntil(job, START + waited * MINUTE);
      const nowMs = bench.parts.clock.now();
      // The ledger takes each upcoming fire time to fire, so a limited job may have more than it knows.
      if (skipping && spec.maxFires === 0) await skipOne(job, nowMs + 20 * MINUTE);
      const afterMs = nowMs + (ahead % 3 === 0 ? 0 : ahead * MINUTE);
      const previewed = await preview(job.name, afterMs);
      const counted = await preview(job.name, afterMs, { showSkipped: false, count: 7 });
      // The full preview may end earlier: the skips count towards its 1,000 fire times.
      const expected = countSkipped(previewed).slice(0, 7);
      expect(counted.slice(0, expected.length)).toEqual(expected);
      const untilMs = nowMs + PLAYED_MS;
      await tickUntil(job, untilMs);
      const decided = (await truth(job, afterMs, untilMs)).filter(
        ({ verdict }) => verdict !== Verdict.UPCOMING,
      );
      const byTime = new Map(previewed.map(({ atMs, effectiveMs }) => [atMs, effectiveMs]));
      expect(decided.map(({ atMs }) => [atMs, byTime.get(atMs)])).toEqual(
        decided.map(({ atMs, effectiveMs }) => [atMs, effectiveMs]),
      );
      const due = previewed.filter(({ atMs, effectiveMs }) => (effectiveMs ?? atMs) <= untilMs - MINUTE);
      const known = new Set(decided.map(({ atMs }) => atMs));
      expect(due.filter(({ atMs }) => !known.has(atMs))).toEqual([]);
    }),
    { numRuns: RUNS },
  );
}, 240_000);

async function skipOne(job: JobRow, fromMs: number): Promise<void> {
  const [first] = (await preview(job.name, fromMs)).filter(({ effectiveMs }) => effectiveMs !== null);
  if (first === undefined) return;
  const request = create(SkipFireTimeRequestSchema, {
    job: job.name,
    nominalTime: timestampFromMs(first.atMs),
  });
  await skipFireTime(bench.parts, PROJECT, request);
}
