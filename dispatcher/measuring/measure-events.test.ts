import { afterEach, beforeEach, expect, test } from "vitest";
import { type ReadTelemetry, startReadTelemetry } from "../../test/support/read-metrics.ts";
import { createEvents, type DispatcherEvents } from "../events/events.ts";
import { measureEvents } from "./measure-events.ts";

let telemetry: ReadTelemetry;
beforeEach(async () => {
  telemetry = await startReadTelemetry();
});
afterEach(() => telemetry.close());

/** An attempt that began 3 s after the time of its trigger, which had waited for 2 s for a limit of the customer. */
const ATTEMPT = {
  triggerId: "trg_1",
  number: 1,
  startTimeMs: 13_000,
  durationMs: 250,
  outcome: { kind: "REJECTED", statusCode: 500, isFinal: false, retryAfterMs: undefined },
  state: "EXHAUSTED",
  trigger: {
    projectId: "prj_1",
    kind: "SCHEDULED",
    attemptBase: 0,
    effectiveTimeMs: 10_000,
    waitingSinceMs: 11_000,
  },
  spec: { target: { kind: "webhook" } },
  cause: undefined,
} as unknown as DispatcherEvents["attempt"][0];

async function measured(name: string, labels: Record<string, string> = {}): Promise<number | undefined> {
  const samples = await telemetry.samples();
  return samples.find(
    (each) =>
      each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value),
  )?.value;
}

test("lateness is divided into what is ours and what is theirs, for the first attempt only", async () => {
  const events = createEvents();
  measureEvents(events, telemetry);
  events.emit("attempt", ATTEMPT);
  events.emit("attempt", { ...ATTEMPT, number: 2 });
  const name = "easycron_trigger_lateness_seconds";
  expect(await measured(`${name}_sum`, { easycron_part: "ours" })).toBe(1);
  expect(await measured(`${name}_sum`, { easycron_part: "theirs" })).toBe(2);
  expect(await measured(`${name}_count`, { easycron_part: "ours" })).toBe(1);
  const attempts = { easycron_outcome: "REJECTED", easycron_target: "webhook" };
  expect(await measured("easycron_attempt_duration_seconds_count", attempts)).toBe(2);
});

test("a trigger has ended when its result is recorded, in the state that is recorded", async () => {
  const events = createEvents();
  measureEvents(events, telemetry);
  // An attempt would have the trigger EXHAUSTED, which was cancelled meanwhile.
  events.emit("attempt", ATTEMPT);
  expect(await measured("easycron_trigger_ended_total")).toBe(undefined);
  const states = { trg_1: "CANCELLED", trg_2: "SUCCEEDED", trg_3: "RETRYING", trg_4: "SUCCEEDED" };
  events.emit("changed", { states: new Map(Object.entries(states)) });
  const ended = (state: string) =>
    measured("easycron_trigger_ended_total", { easycron_trigger_state: state });
  expect(await Promise.all(["CANCELLED", "SUCCEEDED", "EXHAUSTED", "RETRYING"].map(ended))).toEqual([
    1,
    2,
    undefined,
    undefined,
  ]);
});

test("the project is an attribute only when that is asked for", async () => {
  const [without, withProjects] = [createEvents(), createEvents()];
  measureEvents(without, telemetry);
  without.emit("attempt", ATTEMPT);
  expect(await measured("easycron_attempt_duration_seconds_count", { easycron_project_id: "prj_1" })).toBe(
    undefined,
  );
  measureEvents(withProjects, { ...telemetry, byProject: true });
  withProjects.emit("attempt", ATTEMPT);
  expect(await measured("easycron_attempt_duration_seconds_count", { easycron_project_id: "prj_1" })).toBe(1);
});

test("what only a fault or a month brings is counted", async () => {
  const events = createEvents();
  measureEvents(events, telemetry);
  const error = new Error("broken");
  events.emit("alertsHeld", { jobUid: "job_1", projectId: "prj_1" });
  events.emit("setAside", { kind: "result", count: 3, ids: [], pauseMs: 1, error });
  events.emit("partitionLate", { partition: "p", triedMs: 1, leftMs: 1, error });
  events.emit("partitionInDefault", { partition: "p" });
  events.emit("liveTriggersDiffered", { found: 4, repaired: 4, ids: [] });
  events.emit("triggersRemoved", { projectId: "prj_1", removed: 5, floorMs: 0 });
  events.emit("trouble", { part: "claims", error, failures: 6 });
  expect(await measured("easycron_alert_held_total")).toBe(1);
  expect(await measured("easycron_dispatcher_set_aside_total", { easycron_kind: "result" })).toBe(3);
  expect(await measured("easycron_partition_missing_total")).toBe(2);
  expect(await measured("easycron_live_triggers_differences_total")).toBe(4);
  expect(await measured("easycron_trigger_removed_total")).toBe(5);
  expect(await measured("easycron_dispatcher_failures_total")).toBe(6);
});

test("nothing listens when nobody reads the measures", () => {
  const events = createEvents();
  measureEvents(events, { ...telemetry, hasMetrics: false });
  expect(events.eventNames()).toEqual([]);
});
