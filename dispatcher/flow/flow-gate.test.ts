import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { toSpec } from "../delivery/spec.ts";
import { createEvents } from "../events/events.ts";
import { heldTrigger } from "../testing/held.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import { createFlowGate, type FlowGate } from "./flow-gate.ts";
import { BURST_MS, type FlowStore } from "./flow-store.ts";
import { createLocalFlowStore } from "./local-flow-store.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Flow {
  readonly key: string;
  readonly maxInFlight?: number;
  readonly ratePerSecond?: number;
}

/** What the gate granted, and what became of the others. */
interface Seen {
  readonly gate: FlowGate;
  readonly granted: { readonly trigger: HeldTrigger; readonly key: string; readonly atMs: number }[];
  readonly deferred: { readonly trigger: HeldTrigger; readonly dueMs: number }[];
  readonly expired: HeldTrigger[];
  enter(flow: Flow, change?: Partial<HeldTrigger>): HeldTrigger;
}

function open({
  onGranted = () => {},
  isHeld = () => true,
  store = createLocalFlowStore(),
}: {
  onGranted?: (key: string) => void;
  isHeld?: (trigger: HeldTrigger) => boolean;
  store?: FlowStore;
} = {}): Seen {
  const clock = { now: () => Date.now() };
  const granted: Seen["granted"] = [];
  const deferred: Seen["deferred"] = [];
  const expired: HeldTrigger[] = [];
  const gate = createFlowGate({
    store,
    clock,
    events: createEvents(),
    holding: { holds: isHeld } as unknown as Holding,
    waits: {
      begin: ({ trigger }, reason) => {
        trigger.waitingFor = reason;
      },
      defer: (trigger, _, dueMs) => void deferred.push({ trigger, dueMs }),
      clear: () => {},
    },
    onGranted: (trigger, _, key) => {
      granted.push({ trigger, key, atMs: performance.now() });
      onGranted(key);
    },
    onAllGranted: () => {},
    mayAttempt: ({ attemptCount, effectiveTimeMs }) =>
      attemptCount === 0 || clock.now() < effectiveTimeMs + 60_000,
    onExpired: (trigger) => void expired.push(trigger),
  });
  const enter = (flow: Flow, change: Partial<HeldTrigger> = {}) => {
    const text = JSON.stringify({ target: { webhook: { url: "http://a.example/" } }, flow });
    const spec = toSpec({ job_uid: "job_1", revision: 1, spec: text });
    const trigger = heldTrigger(clock.now(), change);
    if (spec.flow === undefined) throw new Error("the specification has no flow");
    gate.enter(trigger, spec, spec.flow);
    return trigger;
  };
  return { gate, granted, deferred, expired, enter };
}

describe("the gate of flow keys", () => {
  test("lets each key use its limits, exceeds none, and lets everything through in the end", async () => {
    const arrival = fc.record({
      atMs: fc.nat(2_000),
      key: fc.constantFrom("a", "b", "c"),
      attemptCount: fc.nat(1),
      kind: fc.constantFrom("SCHEDULED" as const, "BACKFILL" as const),
      tookMs: fc.nat(300),
    });
    const limits: Readonly<Record<string, Omit<Flow, "key">>> = {
      a: { maxInFlight: 2 },
      b: { ratePerSecond: 20 },
      c: { maxInFlight: 3, ratePerSecond: 50 },
    };
    const property = fc.asyncProperty(
      fc.array(arrival, { minLength: 1, maxLength: 80 }),
      async (arrivals) => {
        const inFlight = new Map<string, number>();
        const took: number[] = [];
        const seen = open({
          onGranted: (name) => {
            const now = (inFlight.get(name) ?? 0) + 1;
            inFlight.set(name, now);
            expect(now).toBeLessThanOrEqual(limits[name.split(" ")[1] ?? ""]?.maxInFlight ?? 1_000);
            setTimeout(() => seen.gate.started(name), 1);
            setTimeout(
              () => {
                inFlight.set(name, (inFlight.get(name) ?? 0) - 1);
                seen.gate.left(name, true);
              },
              2 + (took.pop() ?? 0),
            );
          },
        });
        for (const { atMs, key, tookMs, ...change } of arrivals) {
          setTimeout(() => {
            took.push(tookMs);
            seen.enter({ key, ...limits[key] }, change);
          }, atMs);
        }
        // The slowest key starts 20 a second or, at two places, seven.
        await vi.advanceTimersByTimeAsync(2_000 + 80 * 160);
        expect(seen.granted).toHaveLength(arrivals.length);
        expect(seen.gate.size).toBe(0);
        for (const [name, all] of Map.groupBy(seen.granted, ({ key }) => key)) {
          const rate = limits[name.split(" ")[1] ?? ""]?.ratePerSecond;
          if (rate === undefined) continue;
          for (const [first, { atMs }] of all.entries()) {
            const within = all.slice(first).filter((each) => each.atMs <= atMs + 1_000).length;
            expect(within).toBeLessThanOrEqual((rate * (1_000 + BURST_MS)) / 1_000 + 1);
          }
        }
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  test("gives retries every fourth turn and late triggers every eighth while first attempts wait", async () => {
    const seen = open({ onGranted: (key) => queueMicrotask(() => seen.gate.left(key, false)) });
    const flow = { key: "k", ratePerSecond: 10 };
    for (let each = 0; each < 40; each++) seen.enter(flow);
    for (let each = 0; each < 40; each++) seen.enter(flow, { attemptCount: 1 });
    for (let each = 0; each < 40; each++) seen.enter(flow, { kind: "CATCHUP" });
    await vi.advanceTimersByTimeAsync(3_150);
    const counts = Map.groupBy(seen.granted.slice(0, 32), ({ trigger }) =>
      trigger.kind === "CATCHUP" ? "late" : trigger.attemptCount > 0 ? "retry" : "first",
    );
    expect([...counts].map(([name, all]) => [name, all.length]).toSorted()).toEqual([
      ["first", 24],
      ["late", 4],
      ["retry", 4],
    ]);
  });

  test("grants no more ahead than a tenth of a second's while those before have not started", async () => {
    const seen = open();
    for (let each = 0; each < 50; each++) seen.enter({ key: "k", ratePerSecond: 40 });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen.granted).toHaveLength(4);
    for (let each = 0; each < 4; each++) seen.gate.started("proj_1 k");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(seen.granted).toHaveLength(8);
  });

  test("holds a bounded number of triggers in memory and puts the others off to about their turn", () => {
    const seen = open();
    const flow = { key: "k", ratePerSecond: 10 };
    for (let each = 0; each < 1_600; each++) seen.enter(flow);
    expect(seen.gate.size).toBe(1_000);
    expect(seen.deferred).toHaveLength(600);
    const pauses = seen.deferred.map(({ dueMs }) => dueMs - Date.now());
    // The 1,001st has its turn after 100 s, the last one after 160 s; they come back a little earlier.
    expect(pauses[0]).toBeCloseTo(90_090, -3);
    expect(pauses.at(-1)).toBeCloseTo(144_000, -3);
    seen.gate.clear();
    seen.enter(flow);
    expect(seen.gate.size).toBe(1);
  });

  test("lets new triggers wait behind those that were put off", async () => {
    const seen = open({
      onGranted: (key) => queueMicrotask(() => seen.gate.left(key, false)),
    });
    const flow = { key: "k", ratePerSecond: 100 };
    for (let each = 0; each < 2_100; each++) seen.enter(flow);
    expect(seen.deferred).toHaveLength(100);
    await vi.advanceTimersByTimeAsync(10_000);
    seen.enter(flow);
    expect(seen.deferred).toHaveLength(101);
    const back = seen.enter(flow, { waitingFor: "FLOW" });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(seen.granted.map(({ trigger }) => trigger)).toContain(back);
  });

  test("does not spend the rate on triggers that are no longer held, and lets go of those that are too old", async () => {
    const gone = new Set<HeldTrigger>();
    const seen = open({ isHeld: (trigger) => !gone.has(trigger) });
    const flow = { key: "k", maxInFlight: 1 };
    seen.enter(flow);
    await vi.advanceTimersByTimeAsync(1);
    seen.gate.started("proj_1 k");
    gone.add(seen.enter(flow));
    const old = seen.enter(flow, { attemptCount: 1 });
    const next = seen.enter(flow);
    await vi.advanceTimersByTimeAsync(90_000);
    expect(seen.expired).toEqual([old]);
    seen.gate.left("proj_1 k", true);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen.granted.slice(1).map(({ trigger }) => trigger)).toEqual([next]);
  });

  test("asks again after a second when the store has failed", async () => {
    const local = createLocalFlowStore();
    let fails = true;
    const store: FlowStore = {
      ...local,
      take: (requests) => (fails ? Promise.reject(new Error("away")) : local.take(requests)),
    };
    const seen = open({ store });
    seen.enter({ key: "k", maxInFlight: 1 });
    await vi.advanceTimersByTimeAsync(10);
    expect(seen.granted).toEqual([]);
    fails = false;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(seen.granted).toHaveLength(1);
  });
});
