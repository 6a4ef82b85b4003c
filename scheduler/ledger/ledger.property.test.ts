import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { UpdateCalendarRequestSchema } from "../../gen/easycron/v1/calendar_service_pb.ts";
import {
  type Job,
  type JobSchema,
  MisfirePolicy,
  Outside,
  OverlapPolicy,
} from "../../gen/easycron/v1/job_pb.ts";
import { UpdateJobRequestSchema } from "../../gen/easycron/v1/job_service_pb.ts";
import { Verdict } from "../../gen/easycron/v1/ledger_pb.ts";
import {
  ListFireTimesRequestSchema,
  SkipFireTimeRequestSchema,
} from "../../gen/easycron/v1/ledger_service_pb.ts";
import { BackfillJobRequestSchema } from "../../gen/easycron/v1/operation_pb.ts";
import { auditJob } from "../audit/audit-ledger.ts";
import { backfillJob } from "../backfill/backfill.ts";
import { runBackfill } from "../backfill/run.ts";
import { createCalendar } from "../calendars/change.ts";
import { updateAndSettleCalendar } from "../calendars-service.ts";
import { pauseJob, resumeJob } from "../changes/pause-job.ts";
import { skipFireTime } from "../changes/skip-fire-time.ts";
import { updateJob } from "../changes/update-job.ts";
import { stopPending } from "../disabling/run.ts";
import type { JobRow } from "../job/job.ts";
import { readJob } from "../reading/read-jobs.ts";
import { openBench, PROJECT, type SchedulerBench } from "../testing/bench.ts";
import { listFireTimes } from "./list-fire-times.ts";

/** Shortly before the clocks of Paris go forward, and before they go back. */
const STARTS = [Date.UTC(2026, 2, 27, 22), Date.UTC(2026, 9, 24, 17)];
const START = Math.min(...STARTS);
const MINUTE = 60_000;
const RUNS = Number(process.env.EASYCRON_PROPERTY_RUNS ?? 12);
const LIMIT_MS = Math.max(240_000, 5_000 * RUNS);

/** Stands for the calendar of the run. */
const CALENDAR = "calendar";

type Specification = Exclude<MessageInitShape<typeof JobSchema>, Job>;

const schedule = fc.oneof(
  fc
    .constantFrom("* * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15,45 1-4 * * *")
    .map((expression) => ({
      kind: { case: "cron" as const, value: { expression } },
      timeZone: "Europe/Paris",
    })),
  fc.integer({ min: 20, max: 4_000 }).map((seconds) => ({
    kind: { case: "rate" as const, value: { every: durationFromMs(seconds * 1_000) } },
  })),
);

const specification: fc.Arbitrary<Specification> = fc.record({
  schedules: fc.array(schedule, { minLength: 1, maxLength: 2 }),
  calendars: fc.constantFrom(
    [],
    [],
    [{ name: CALENDAR, outside: Outside.SKIP }],
    [{ name: CALENDAR, outside: Outside.DEFER }],
  ),
  flexibleWindow: fc.constantFrom(0, 0, 45_000, 3_600_000).map(durationFromMs),
  misfirePolicy: fc.constantFrom(MisfirePolicy.FIRE_ALL, MisfirePolicy.FIRE_LATEST, MisfirePolicy.SKIP),
  catchupWindow: fc.constantFrom(10_000, 600_000, 86_400_000).map(durationFromMs),
  maxCatchup: fc.constantFrom(1, 3, 100),
  overlapPolicy: fc.constantFrom(
    OverlapPolicy.ALLOW_ALL,
    OverlapPolicy.ALLOW_ALL,
    OverlapPolicy.SKIP,
    OverlapPolicy.BUFFER_ONE,
    OverlapPolicy.BUFFER_ALL,
  ),
  maxFires: fc.constantFrom(0, 0, 0, 5, 40),
});

type Step =
  | { readonly kind: "work"; readonly ms: number; readonly everyMs: number }
  | { readonly kind: "outage"; readonly ms: number }
  | { readonly kind: "pause"; readonly ms: number | null }
  | { readonly kind: "resume" | "succeed" | "skip" | "start" | "crash" }
  | { readonly kind: "stop"; readonly cause: "GONE" | "EXHAUSTED" }
  | { readonly kind: "edit"; readonly job: Specification }
  | { readonly kind: "calendar"; readonly startHour: number; readonly hours: number }
  | { readonly kind: "backfill"; readonly ms: number; readonly force: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("work" as const),
      ms: fc.integer({ min: MINUTE, max: 300 * MINUTE }),
      everyMs: fc.constantFrom(20_000, 61_000, 240_000),
    }),
  },
  fc.record({ kind: fc.constant("outage" as const), ms: fc.integer({ min: 1_000, max: 600 * MINUTE }) }),
  fc.record({
    kind: fc.constant("pause" as const),
    ms: fc.option(fc.integer({ min: 1_000, max: 200 * MINUTE })),
  }),
  fc.constantFrom<Step>(
    { kind: "resume" },
    { kind: "succeed" },
    { kind: "skip" },
    { kind: "start" },
    { kind: "crash" },
    { kind: "stop", cause: "GONE" },
    { kind: "stop", cause: "EXHAUSTED" },
  ),
  fc.record({ kind: fc.constant("edit" as const), job: specification }),
  fc.record({
    kind: fc.constant("calendar" as const),
    startHour: fc.integer({ min: 0, max: 23 }),
    hours: fc.integer({ min: 1, max: 23 }),
  }),
  fc.record({
    kind: fc.constant("backfill" as const),
    ms: fc.integer({ min: MINUTE, max: 300 * MINUTE }),
    force: fc.boolean(),
  }),
);

let bench: SchedulerBench;
beforeAll(async () => {
  bench = await openBench(START, { stepMs: 3_000 });
});
afterAll(() => bench.close());

const DAYS = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];

/** The calendar of a run, open every day from an hour on for some hours. */
function calendarOf(name: string, startHour: number, hours: number) {
  const clock = (hour: number) => `${String(hour % 24).padStart(2, "0")}:00`;
  const windows = [{ days: DAYS, start: clock(startHour), end: clock(startHour + hours) }];
  return create(CalendarSchema, { name, timeZone: "Europe/Paris", windows });
}

/** A specification that refers to the calendar of its own run. */
function bound(job: Specification, name: string): Specification {
  return { ...job, calendars: (job.calendars ?? []).map((reference) => ({ ...reference, name })) };
}

const target = { kind: { case: "webhook" as const, value: { url: "https://example.com/" } } };

async function tickAll(): Promise<void> {
  while ((await bench.tick.run()).more);
}

/** Pauses or disables an active job as EasyCron does by itself. */
async function stop({ uid, name }: JobRow, kind: "GONE" | "EXHAUSTED"): Promise<void> {
  const { state, revision } = await readJob(bench.parts, PROJECT, { name });
  const endTimeMs = bench.parts.clock.now();
  const trigger = { trigger: "trg_x", fireTimeMs: endTimeMs, endTimeMs, exhaustedCount: 20 };
  await bench.spoil(
    "scheduler",
    `insert into scheduler.failing_jobs (job_uid, project_id, pending, exhausted_count, first_time, last_time)
     values ($1, $2, $3, 20, $4::timestamptz - interval '1 day', $4)
     on conflict (job_uid) do update
        set (pending, exhausted_count, first_time, last_time)
          = (excluded.pending, excluded.exhausted_count, excluded.first_time, excluded.last_time)`,
    [uid, PROJECT, JSON.stringify({ kind, revision, ...trigger }), new Date(endTimeMs).toISOString()],
  );
  const logger = { warn: () => {}, error: () => {} };
  expect(await stopPending(bench.parts, logger)).toBe(1);
  const stopped = await readJob(bench.parts, PROJECT, { name });
  if (state === "ACTIVE" && stopped.state === "ACTIVE")
    expect(stopped.pause_until).toBeGreaterThan(endTimeMs);
}

async function take(job: JobRow, each: Step): Promise<void> {
  const reference = { projectId: PROJECT, name: job.name };
  const nowMs = bench.parts.clock.now();
  switch (each.kind) {
    case "work":
      for (let atMs = nowMs; atMs < nowMs + each.ms; atMs += each.everyMs) {
        bench.setTime(atMs + each.everyMs);
        await tickAll();
        await bench.succeed(job.uid);
      }
      return;
    case "outage":
      return bench.setTime(nowMs + each.ms);
    case "pause":
      await pauseJob(bench.parts, reference, {
        note: "",
        untilMs: each.ms === null ? null : nowMs + each.ms,
      });
      return;
    case "resume":
      await resumeJob(bench.parts, reference);
      return;
    case "crash":
      bench.setAnswerLost(true);
      await bench.tick.run().catch(() => {});
      return bench.setAnswerLost(false);
    case "stop":
      return stop(job, each.cause);
    case "succeed":
      return bench.succeed(job.uid);
    case "start": {
      const triggers = await bench.triggersOf(job.uid);
      const next = triggers.find(({ state }) => state === "PENDING");
      if (next !== undefined) await bench.start(next.id);
      return;
    }
    case "skip": {
      const row = await readJob(bench.parts, PROJECT, { name: job.name });
      const atMs = bench.parts.schedules.of(row).nextAfter(Math.max(nowMs, row.after_time));
      if (atMs === null || row.state === "FINISHED") return;
      const request = create(SkipFireTimeRequestSchema, {
        job: job.name,
        nominalTime: timestampFromMs(atMs),
      });
      await skipFireTime(bench.parts, PROJECT, request).catch(expectDecided);
      return;
    }
    case "edit": {
      const request = create(UpdateJobRequestSchema, {
        job: { ...bound(each.job, calendarNameOf(job)), name: job.name, target },
        updateMask: { paths: ["*"] },
      });
      await updateJob(bench.parts, PROJECT, request);
      return;
    }
    case "calendar": {
      // What was handed over and not committed is decided again by the calendar of before: a scheduler is there.
      await tickAll();
      const calendar = calendarOf(calendarNameOf(job), each.startHour, each.hours);
      const updateMask = { paths: ["windows"] };
      await updateAndSettleCalendar(
        bench.parts,
        PROJECT,
        create(UpdateCalendarRequestSchema, { calendar, updateMask }),
      );
      return;
    }
    case "backfill": {
      const request = create(BackfillJobRequestSchema, {
        name: job.name,
        startTime: timestampFromMs(nowMs - each.ms),
        endTime: timestampFromMs(nowMs),
        force: each.force,
        maxPerSecond: 1_000,
      });
      await backfillJob(bench.parts, PROJECT, request);
      await runBackfill(bench.parts);
    }
  }
}

function calendarNameOf(job: JobRow): string {
  return job.name.replace("job", "calendar");
}

function expectDecided(error: unknown): void {
  expect(error).toMatchObject({ reason: expect.stringMatching(/^FIRE_TIME_(DECIDED|NOT_FOUND)$/) });
}

/** All fire times of a job up to `endMs`, by pages of 50. */
async function listAll(job: JobRow, endMs: number) {
  const entries: { atMs: number; verdict: Verdict; reason: number; calendar: string }[] = [];
  let pageToken = "";
  do {
    const request = create(ListFireTimesRequestSchema, {
      job: job.name,
      endTime: timestampFromMs(endMs),
      pageSize: 500,
      pageToken,
    });
    const page = await listFireTimes(bench.parts, PROJECT, request);
    for (const { nominalTime, verdict, reason, calendar } of page.fireTimes ?? []) {
      const atMs = nominalTime === undefined ? 0 : timestampMs(nominalTime as never);
      entries.push({ atMs, verdict: verdict ?? 0, reason: reason ?? 0, calendar: calendar ?? "" });
    }
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  return entries;
}

let made = 0;
let startMs = STARTS[0] ?? START;

test(
  "whatever happens to a job, each of its fire times has exactly one verdict, and the audit finds no difference",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        specification,
        fc.array(step, { minLength: 3, maxLength: 14 }),
        async (first, steps) => {
          made += 1;
          bench.setTime(startMs);
          const calendar = `calendar-${made}`;
          await createCalendar(bench.parts, PROJECT, calendarOf(calendar, 22, 7));
          const job = await bench.createJob({ ...bound(first, calendar), name: `job-${made}`, target });
          for (const each of steps) await take(job, each);
          await take(job, { kind: "work", ms: 3 * MINUTE, everyMs: MINUTE });
          const nowMs = bench.parts.clock.now();
          const audit = await auditJob(bench.parts, job, startMs, nowMs);
          expect(audit?.differences.slice(0, 3)).toEqual([]);
          const entries = await listAll(job, nowMs - 2 * MINUTE);
          const times = entries.map(({ atMs }) => atMs);
          expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
          const unexplained = entries.filter(
            ({ verdict, reason }) => verdict === Verdict.MISSED && reason === 0,
          );
          expect(unexplained).toEqual([]);
          const triggers = await bench.triggersOf(job.uid);
          const listed = new Set(times);
          for (const { atMs, kind } of triggers) {
            if (kind !== "BACKFILL" && atMs < nowMs - 2 * MINUTE) expect(listed.has(atMs)).toBe(true);
          }
          const chained = triggers.filter(({ kind }) => kind !== "BACKFILL");
          const seqs = chained.map(({ seq }) => seq).sort((a, b) => a - b);
          expect(seqs).toEqual(seqs.map((_, index) => index + 1));
          await pauseJob(
            bench.parts,
            { projectId: PROJECT, name: job.name },
            { note: "done", untilMs: null },
          );
          startMs = (STARTS[made % 2] ?? START) + (made % 3) * 11 * 3_600_000;
        },
      ),
      { numRuns: RUNS, interruptAfterTimeLimit: LIMIT_MS },
    );
  },
  2 * LIMIT_MS,
);
