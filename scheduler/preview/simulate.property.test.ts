import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { parseCalendar } from "../../cron/calendar-spec.ts";
import { JobSchema, MisfirePolicy, OverlapPolicy } from "../../gen/easycron/v1/job_pb.ts";
import { withDefaults } from "../changes/job-defaults.ts";
import { type CompiledSchedule, compileSchedule } from "../schedules/compiled-schedule.ts";
import { runInSlices } from "../schedules/slices.ts";
import { type Assumptions, SIMULATED_LIMIT, type Simulation, simulate } from "./simulate.ts";
import type { Range } from "./virtual-job.ts";

const START = Date.UTC(2026, 2, 27, 22);
const MINUTE = 60_000;
const RUNS = Number(process.env.EASYCRON_PROPERTY_RUNS ?? 100);

const calendar = parseCalendar({
  timeZone: "Europe/Paris",
  windows: [{ days: ["FRIDAY", "SATURDAY", "SUNDAY"], start: "22:00", end: "05:00" }],
  excludedDates: [],
});

const cron = fc
  .constantFrom("* * * * *", "*/7 * * * *", "30 2 * * *", "0 */3 * * *", "15,45 1-4 * * *")
  .map((expression) => ({
    kind: { case: "cron" as const, value: { expression } },
    timeZone: "Europe/Paris",
  }));
const rate = fc.integer({ min: 20, max: 4_000 }).map((seconds) => ({
  kind: { case: "rate" as const, value: { every: durationFromMs(seconds * 1_000) } },
}));

const specification = fc
  .record({
    schedules: fc.array(fc.oneof(cron, rate), { minLength: 1, maxLength: 2 }),
    flexibleWindow: fc.constantFrom(0, 0, 45_000, 3_600_000).map(durationFromMs),
    misfirePolicy: fc.constantFrom(MisfirePolicy.FIRE_ALL, MisfirePolicy.FIRE_LATEST, MisfirePolicy.SKIP),
    catchupWindow: fc.constantFrom(10_000, 600_000, 86_400_000).map(durationFromMs),
    maxCatchup: fc.constantFrom(1, 3, 100),
    overlapPolicy: fc.constantFrom(
      OverlapPolicy.ALLOW_ALL,
      OverlapPolicy.SKIP,
      OverlapPolicy.BUFFER_ONE,
      OverlapPolicy.BUFFER_ALL,
    ),
    maxFires: fc.constantFrom(0, 0, 0, 5, 40),
  })
  .map((job) => compileSchedule(withDefaults(create(JobSchema, job), START), "job_1"));

/** Ranges that are in order and apart, some of which begin before the start or end after the end. */
const ranges = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), fc.integer({ min: 1, max: 20_000 })), { maxLength: 5 })
  .map((steps) => {
    let atMs = START - 100 * MINUTE;
    return steps.map(([gap, length]): Range => {
      const startMs = atMs + gap * 1_000;
      atMs = startMs + length * 1_000;
      return { startMs, endMs: atMs };
    });
  });

const assumptions: fc.Arbitrary<Assumptions> = fc.record({
  schedule: specification,
  gates: fc.constantFrom<readonly CalendarGate[]>(
    [],
    [{ name: "night", calendar, outside: "SKIP" }],
    [{ name: "night", calendar, outside: "DEFER" }],
  ),
  startMs: fc.constant(START),
  endMs: fc.integer({ min: 1, max: 1_500 }).map((minutes) => START + minutes * MINUTE),
  outages: ranges,
  pauses: ranges,
  durationMs: fc.constantFrom(0, 0, 30_000, 20 * MINUTE, 400 * MINUTE),
  catchupPerSecond: fc.constantFrom(1, 50),
});

function timesBetween(schedule: CompiledSchedule, afterMs: number, untilMs: number): number[] {
  const times: number[] = [];
  for (let at = schedule.nextAfter(afterMs); at !== null && at <= untilMs; at = schedule.nextAfter(at))
    times.push(at);
  return times;
}

function check(given: Assumptions, { fireTimes, untilMs }: Simulation): void {
  const times = fireTimes.map(({ atMs }) => atMs);
  const expected = timesBetween(given.schedule, given.startMs, untilMs);
  if (given.schedule.policies.maxFires === 0) expect(times).toEqual(expected);
  else expect(expected).toEqual(expect.arrayContaining([...new Set(times)]));
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
  const triggers = fireTimes.flatMap(({ atMs, trigger }) => (trigger === null ? [] : [{ atMs, ...trigger }]));
  expect(triggers.map(({ seq }) => seq)).toEqual(triggers.map((_, index) => index + 1));
  for (const { atMs, effectiveMs } of triggers) {
    expect(effectiveMs).toBeGreaterThanOrEqual(atMs);
    expect(
      given.outages.filter(({ startMs, endMs }) => startMs <= effectiveMs && effectiveMs < endMs),
    ).toEqual([]);
  }
  for (const { startMs, endMs } of given.pauses) {
    const within = fireTimes.filter(({ atMs }) => startMs < atMs && atMs < endMs);
    expect(within.filter(({ reason }) => reason !== "PAUSED")).toEqual([]);
  }
}

test("every fire time of a simulation has one verdict, whatever outages and pauses overlap", async () => {
  await fc.assert(
    fc.asyncProperty(assumptions, async (given) => {
      const simulation = await runInSlices(simulate(given), { budgetMs: Number.POSITIVE_INFINITY });
      if (simulation.fireTimes.length < SIMULATED_LIMIT) expect(simulation.untilMs).toBe(given.endMs);
      check(given, simulation);
    }),
    { numRuns: RUNS },
  );
}, 60_000);

test("a simulation that is told to stop has a verdict for every fire time up to where it stopped", async () => {
  await fc.assert(
    fc.asyncProperty(assumptions, fc.integer({ min: 1, max: 400 }), async (given, budgetMs) => {
      let steps = 0;
      const simulation = await runInSlices(simulate(given), {
        sliceMs: 0,
        budgetMs,
        computed: () => steps++,
      });
      expect(simulation.untilMs).toBeGreaterThanOrEqual(given.startMs);
      check(given, simulation);
    }),
    { numRuns: RUNS },
  );
}, 60_000);
