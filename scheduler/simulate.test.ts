import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { JobSchema } from "../gen/easycron/v1/job_pb.ts";
import { TriggerKind } from "../gen/easycron/v1/trigger_pb.ts";
import { compileSchedule } from "./compiled-schedule.ts";
import { withDefaults } from "./job-defaults.ts";
import { type Assumptions, SIMULATED_LIMIT, simulate } from "./simulate.ts";

const START = Date.UTC(2026, 2, 2, 9);
const MINUTE = 60_000;

/** What becomes of each minute, as "T" and seq, "C" for one made up for, or the reason's name. */
function play(job: JsonObject, minutes: number, assumed: Partial<Assumptions> = {}): string[] {
  const full = { schedules: [{ cron: { expression: "* * * * *" } }], ...job };
  const schedule = compileSchedule(withDefaults(fromJson(JobSchema, full), START), "job_1");
  const { fireTimes } = simulate({
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
  return fireTimes.map(({ reason, trigger }) => {
    if (trigger === null) return reason ?? "WAITS";
    return `${trigger.kind === TriggerKind.CATCHUP ? "C" : "T"}${trigger.seq}`;
  });
}

const range = (from: number, to: number) => ({ startMs: START + from * MINUTE, endMs: START + to * MINUTE });

test("plays every fire time, the last one at the very end", () => {
  expect(play({}, 3)).toEqual(["T1", "T2", "T3"]);
});

test("an outage makes fire times late, and the policy says which are made up for", () => {
  const outages = [range(1.5, 5.5)];
  expect(play({}, 6, { outages })).toEqual(["T1", "C2", "C3", "C4", "C5", "T6"]);
  expect(play({ maxCatchup: 2 }, 6, { outages })).toEqual([
    "T1",
    "CATCHUP_LIMIT",
    "CATCHUP_LIMIT",
    "C2",
    "C3",
    "T4",
  ]);
  expect(play({ misfirePolicy: "MISFIRE_POLICY_FIRE_LATEST" }, 6, { outages })).toEqual([
    "T1",
    "MISFIRE_POLICY",
    "MISFIRE_POLICY",
    "MISFIRE_POLICY",
    "C2",
    "T3",
  ]);
  expect(play({ misfirePolicy: "MISFIRE_POLICY_SKIP" }, 6, { outages })[4]).toBe("MISFIRE_POLICY");
  expect(play({ catchupWindow: "100s" }, 6, { outages })).toEqual([
    "T1",
    "CATCHUP_WINDOW",
    "CATCHUP_WINDOW",
    "C2",
    "C3",
    "T4",
  ]);
});

test("a fire time at the very end of a pause fires, and one at its start has fired", () => {
  expect(play({}, 6, { pauses: [range(2, 5)] })).toEqual(["T1", "T2", "PAUSED", "PAUSED", "T3", "T4"]);
});

test("triggers that take long overlap as the policy says", () => {
  const durationMs = 2.5 * MINUTE;
  const overlap = (policy: string) => play({ overlapPolicy: `OVERLAP_POLICY_${policy}` }, 7, { durationMs });
  expect(overlap("ALLOW_ALL")).toEqual(["T1", "T2", "T3", "T4", "T5", "T6", "T7"]);
  expect(overlap("SKIP")).toEqual(["T1", "OVERLAP", "OVERLAP", "T2", "OVERLAP", "OVERLAP", "T3"]);
  expect(overlap("BUFFER_ONE")).toEqual([
    "T1",
    "T2",
    "BUFFER_FULL",
    "T3",
    "BUFFER_FULL",
    "WAITS",
    "BUFFER_FULL",
  ]);
  expect(overlap("BUFFER_ALL")).toEqual(["T1", "T2", "T3", "WAITS", "WAITS", "WAITS", "WAITS"]);
});

test("a limit of fires ends it, and skipped ones do not count", () => {
  expect(play({ maxFires: 3 }, 9, { pauses: [range(1, 4)] })).toEqual(["T1", "PAUSED", "PAUSED", "T2", "T3"]);
});

test("says how far it came when there are too many fire times", () => {
  const schedule = compileSchedule(
    withDefaults(fromJson(JobSchema, { schedules: [{ rate: { every: "1s" } }] }), START),
    "job_1",
  );
  const given = { schedule, gates: [], outages: [], pauses: [], durationMs: 0, catchupPerSecond: 50 };
  const { fireTimes, untilMs } = simulate({ ...given, startMs: START, endMs: START + 86_400_000 });
  expect(fireTimes).toHaveLength(SIMULATED_LIMIT);
  expect(untilMs).toBe(START + (SIMULATED_LIMIT + 1) * 1_000 - 1);
});
