import { afterEach, beforeEach, expect, test } from "vitest";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { type ReadTelemetry, startReadTelemetry } from "../../test/support/read-metrics.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { createMeasuring } from "./measure-scheduler.ts";

let telemetry: ReadTelemetry;
beforeEach(async () => {
  telemetry = await startReadTelemetry();
});
afterEach(() => telemetry.close());

const event = (triggerId: string, kind: TriggerKind) => ({ triggerId, kind }) as TriggerEventInit;
const EVENTS = [
  event("trg_1", TriggerKind.SCHEDULED),
  event("trg_2", TriggerKind.SCHEDULED),
  event("trg_3", TriggerKind.CATCHUP),
];

async function countsOf(name: string): Promise<Record<string, number>> {
  const samples = (await telemetry.samples()).filter((each) => each.name === name);
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(" "), value]));
}

test("hand-overs are counted by kind and result, and behave as before", async () => {
  const refused = [{ triggerId: "trg_2", problem: "locked", isTransient: true }];
  const measuring = createMeasuring(telemetry);
  const good = measuring.handOver({ send: async () => refused, close: () => {} });
  expect(await good.send(EVENTS)).toBe(refused);
  const error = new Error("away");
  const bad = measuring.handOver({ send: () => Promise.reject(error), close: () => {} });
  await expect(bad.send(EVENTS.slice(0, 1))).rejects.toBe(error);
  expect(await countsOf("easycron_hand_over_triggers_total")).toEqual({
    "SCHEDULED recorded": 1,
    "SCHEDULED postponed": 1,
    "CATCHUP recorded": 1,
    "SCHEDULED failed": 1,
  });
});

test("what a turn decided is counted by verdict", async () => {
  const range = { firstMs: 0, lastMs: 0, detail: "" };
  createMeasuring(telemetry).decided({
    events: [1, 2],
    skips: [
      { ...range, reason: "OVERLAP", count: 3 },
      { ...range, reason: "CATCHUP_WINDOW", count: 4 },
    ],
  });
  expect(await countsOf("easycron_fire_time_decided_total")).toEqual({
    DISPATCHED: 2,
    "SKIPPED OVERLAP": 3,
    "MISSED CATCHUP_WINDOW": 4,
  });
});

test("missed fire times, jobs that are set aside and differences of audits are counted", async () => {
  const measuring = createMeasuring(telemetry);
  measuring.missed({ reason: "CATCHUP_LIMIT", count: 7, firstMs: 0, lastMs: 0, detail: "" });
  measuring.setAside();
  measuring.audited(2);
  measuring.audited(0);
  expect(await countsOf("easycron_fire_time_missed_total")).toEqual({
    CATCHUP_WINDOW: 0,
    CATCHUP_LIMIT: 7,
    MISFIRE_POLICY: 0,
  });
  expect(await countsOf("easycron_scheduler_set_aside_total")).toEqual({ "": 1 });
  expect(await countsOf("easycron_audit_differences_total")).toEqual({ "": 2 });
  expect(await countsOf("easycron_audits_total")).toEqual({ "": 2 });
});

test("a tick that fails is measured and fails all the same", async () => {
  const error = new Error("broken");
  const tick = createMeasuring(telemetry).tick({ run: () => Promise.reject(error) });
  await expect(tick.run()).rejects.toBe(error);
  expect(await countsOf("easycron_tick_duration_seconds_count")).toEqual({ failed: 1 });
});

test("nothing is put around hand-overs and ticks when nobody reads the measures", () => {
  const measuring = createMeasuring({ ...telemetry, hasMetrics: false });
  const [handOver, tick] = [
    { send: async () => [], close: () => {} },
    { run: () => Promise.reject(new Error()) },
  ];
  expect(measuring.handOver(handOver)).toBe(handOver);
  expect(measuring.tick(tick)).toBe(tick);
});
