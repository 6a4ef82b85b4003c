import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { JobSchema } from "../../gen/easycron/v1/job_pb.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { withDefaults } from "../changes/job-defaults.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { runInSlices } from "../schedules/slices.ts";
import { type Assumptions, SIMULATED_LIMIT, simulate } from "./simulate.ts";

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;

/** A job's simulation from START on, for some minutes. */
function run(job: JsonObject, minutes: number, assumed: Partial<Assumptions> = {}) {
  const full = { schedules: [{ cron: { expression: "* * * * *" } }], ...job };
  const schedule = compileSchedule(withDefaults(fromJson(JobSchema, full), START), "job_1");
  const simulation = simulate({
    schedule,
    gates: [],
    startMs: START,
    endMs: START + minutes * MINUTE,
    outages: [],
    pauses: [],
    durationMs: 0,
    catchupPerSecond: 50,
    ...assumed,
  });
  return runInSlices(simulation, { budgetMs: Number.POSITIVE_INFINITY });
}

/** What becomes of each minute, as "T" and seq, "C" for one made up for, or the reason's name. */
async function play(job: JsonObject, minutes: number, assumed: Partial<Assumptions> = {}): Promise<string[]> {
  const { fireTimes } = await run(job, minutes, assumed);
  return fireTimes.map(({ reason, trigger }) => {
    if (trigger === null) return reason ?? "WAITS";
    return `${trigger.kind === TriggerKind.CATCHUP ? "C" : "T"}${trigger.seq}`;
  });
}

const range = (from: number, to: number) => ({ startMs: START + from * MINUTE, endMs: START + to * MINUTE });

test("a simulation includes every fire time, also one exactly at the end", async () => {
  expect(await play({}, 3)).toEqual(["T1", "T2", "T3"]);
});

test("an outage makes fire times late, and the misfire policy says which are caught up", async () => {
  const outages = [range(1.5, 5.5)];
  expect(await play({}, 6, { outages })).toEqual(["T1", "C2", "C3", "C4", "C5", "T6"]);
  expect(await play({ maxCatchup: 2 }, 6, { outages })).toEqual([
    "T1",
    "CATCHUP_LIMIT",
    "CATCHUP_LIMIT",
    "C2",
    "C3",
    "T4",
  ]);
  expect(await play({ misfirePolicy: "MISFIRE_POLICY_FIRE_LATEST" }, 6, { outages })).toEqual([
    "T1",
    "MISFIRE_POLICY",
    "MISFIRE_POLICY",
    "MISFIRE_POLICY",
    "C2",
    "T3",
  ]);
  expect((await play({ misfirePolicy: "MISFIRE_POLICY_SKIP" }, 6, { outages }))[4]).toBe("MISFIRE_POLICY");
  expect(await play({ catchupWindow: "100s" }, 6, { outages })).toEqual([
    "T1",
    "CATCHUP_WINDOW",
    "CATCHUP_WINDOW",
    "C2",
    "C3",
    "T4",
  ]);
});

test("a fire time at the very end of a pause fires, and one at its start has fired", async () => {
  expect(await play({}, 6, { pauses: [range(2, 5)] })).toEqual(["T1", "T2", "PAUSED", "PAUSED", "T3", "T4"]);
});

test("long-running triggers overlap as the overlap policy says", async () => {
  const durationMs = 2.5 * MINUTE;
  const overlap = (policy: string) => play({ overlapPolicy: `OVERLAP_POLICY_${policy}` }, 7, { durationMs });
  expect(await overlap("ALLOW_ALL")).toEqual(["T1", "T2", "T3", "T4", "T5", "T6", "T7"]);
  expect(await overlap("SKIP")).toEqual(["T1", "OVERLAP", "OVERLAP", "T2", "OVERLAP", "OVERLAP", "T3"]);
  expect(await overlap("BUFFER_ONE")).toEqual([
    "T1",
    "T2",
    "BUFFER_FULL",
    "T3",
    "BUFFER_FULL",
    "WAITS",
    "BUFFER_FULL",
  ]);
  expect(await overlap("BUFFER_ALL")).toEqual(["T1", "T2", "T3", "WAITS", "WAITS", "WAITS", "WAITS"]);
});

test("maxFires ends a simulation, and skipped fire times do not count", async () => {
  expect(await play({ maxFires: 3 }, 9, { pauses: [range(1, 4)] })).toEqual([
    "T1",
    "PAUSED",
    "PAUSED",
    "T2",
    "T3",
  ]);
});

test("a simulation with too many fire times says how far it got", async () => {
  const { fireTimes, untilMs } = await run({ schedules: [{ rate: { every: "1s" } }] }, 1_440);
  expect(fireTimes).toHaveLength(SIMULATED_LIMIT);
  expect(untilMs).toBe(START + (SIMULATED_LIMIT + 1) * 1_000 - 1);
});

test("an outage and a pause that overlap leave each fire time one verdict, in order", async () => {
  // Minute 2 and 3 are owed when the pause begins, 5 and 6 when it has ended: all of them wait for the outage to end.
  const assumed = { outages: [range(1.5, 6.5)], pauses: [range(3, 5)] };
  expect(await play({}, 8, assumed)).toEqual(["T1", "C2", "C3", "PAUSED", "C4", "C5", "T6", "T7"]);
  const { fireTimes } = await run({}, 8, assumed);
  const effective = fireTimes.flatMap(({ trigger }) => (trigger === null ? [] : [trigger.effectiveMs]));
  expect(effective).toEqual([...effective].sort((a, b) => a - b));
  expect(effective[1]).toBe(START + 6.5 * MINUTE);
});

test("a pause that begins in an outage continues after it, and the backlog from before the pause is decided", async () => {
  const outages = [range(1.5, 4.5)];
  const skipping = { overlapPolicy: "OVERLAP_POLICY_SKIP" };
  const pauses = [range(3, 7)];
  const expected = ["T1", "C2", "C3", "PAUSED", "PAUSED", "PAUSED", "T4", "T5"];
  expect(await play({}, 8, { outages, pauses })).toEqual(expected);
  expect((await play(skipping, 8, { outages, pauses })).slice(3, 7)).toEqual([
    "PAUSED",
    "PAUSED",
    "PAUSED",
    "T3",
  ]);
});

test("an outage until the end of the range leaves its fire times upcoming, and those within a pause paused", async () => {
  const { fireTimes, untilMs } = await run({}, 6, { outages: [range(2.5, 90)], pauses: [range(3, 5)] });
  expect(untilMs).toBe(START + 6 * MINUTE);
  expect(fireTimes.map(({ reason, trigger }) => trigger?.seq ?? reason)).toEqual([
    1,
    2,
    null,
    "PAUSED",
    null,
    null,
  ]);
  expect(await play({ maxFires: 3 }, 6, { outages: [range(2.5, 90)] })).toEqual(["T1", "T2", "WAITS"]);
});

test("a pause that began before the range counts from the start of the range", async () => {
  const { fireTimes } = await run({}, 4, { pauses: [range(-10, 3)] });
  expect(fireTimes.map(({ atMs }) => (atMs - START) / MINUTE)).toEqual([1, 2, 3, 4]);
  expect(await play({}, 4, { pauses: [range(-10, 3)] })).toEqual(["PAUSED", "PAUSED", "T1", "T2"]);
  expect(await play({}, 2, { pauses: [range(-10, -3)] })).toEqual(["T1", "T2"]);
});

test("a fire time that waits for an earlier trigger is delivered at the instant that trigger ends", async () => {
  const day = 1_440 * MINUTE;
  const job = {
    schedules: [{ cron: { expression: "0 9 * * *" } }],
    overlapPolicy: "OVERLAP_POLICY_BUFFER_ONE",
  };
  const { fireTimes, untilMs } = await run(job, 3_650 * 1_440, { durationMs: 29 * 60 * MINUTE });
  expect(untilMs).toBe(START + 3_650 * day);
  expect(fireTimes).toHaveLength(3_650);
  const triggers = fireTimes.flatMap(({ trigger }) => trigger ?? []);
  expect(triggers.slice(0, 3).map(({ effectiveMs }) => effectiveMs - START)).toEqual([
    day,
    day + 29 * 60 * MINUTE,
    day + 58 * 60 * MINUTE,
  ]);
  expect(triggers.map(({ seq }) => seq)).toEqual(triggers.map((_, index) => index + 1));
});

test("a used-up maxFires ends a simulation, whatever pauses follow", async () => {
  expect(await play({ maxFires: 1 }, 6, { pauses: [range(3, 5)] })).toEqual(["T1"]);
});

test("a simulation that is told to stop says how far it got", async () => {
  let steps = 0;
  const endMs = START + 5_000 * MINUTE;
  const schedule = compileSchedule(
    withDefaults(fromJson(JobSchema, { schedules: [{ cron: { expression: "* * * * *" } }] }), START),
    "job_1",
  );
  const given = { schedule, gates: [], startMs: START, endMs, durationMs: 0, catchupPerSecond: 50 };
  const simulation = simulate({ ...given, outages: [], pauses: [range(1_000, 9_000)] });
  const { fireTimes, untilMs } = await runInSlices(simulation, {
    sliceMs: 0,
    budgetMs: 1_010,
    computed: () => steps++,
  });
  expect(untilMs).toBeGreaterThan(START + 1_000 * MINUTE);
  expect(untilMs).toBeLessThan(endMs);
  expect(fireTimes.at(-1)?.atMs).toBe(untilMs);
  expect(fireTimes).toHaveLength((untilMs - START) / MINUTE);
});
