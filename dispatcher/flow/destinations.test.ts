import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Outcome } from "../delivery/outcome.ts";
import { toSpec } from "../delivery/spec.ts";
import { createEvents } from "../events/events.ts";
import { heldTrigger } from "../testing/held.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import { createDestinations } from "./destinations.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const spec = toSpec({
  job_uid: "job_1",
  revision: 1,
  spec: JSON.stringify({
    target: { webhook: { url: "http://a.example/" } },
    retryPolicy: { maxAge: "600s" },
  }),
});
const OK: Outcome = { kind: "SUCCEEDED", statusCode: 200 };
const BROKEN: Outcome = { kind: "UNKNOWN" };
const busy = (retryAfterMs?: number): Outcome => ({
  kind: "REJECTED",
  statusCode: 429,
  isFinal: false,
  retryAfterMs,
});

function open() {
  const released: HeldTrigger[] = [];
  const deferred: { readonly trigger: HeldTrigger; readonly dueMs: number }[] = [];
  const reasons: string[] = [];
  const places: unknown[] = [];
  const destinations = createDestinations({
    clock: { now: () => Date.now() },
    random: () => 0.5,
    events: createEvents(),
    holding: { holds: () => true } as unknown as Holding,
    waits: {
      begin: ({ trigger }, reason) => {
        trigger.waitingFor = reason;
        reasons.push(reason);
      },
      defer: (trigger, _, dueMs) => void deferred.push({ trigger, dueMs }),
      clear: () => {},
    },
    perLane: 64,
    onPlaces: (projectId, destination) => void places.push(destinations.placesOf(projectId, destination)),
    onReleased: (all) => {
      for (const trigger of all) if (!arrive(trigger)) released.push(trigger);
    },
  });
  /** What the router does with a due trigger. Returns whether it waits. */
  const arrive = (trigger = heldTrigger(Date.now())): boolean => {
    const isBlocked = destinations.isBlocked(trigger, spec);
    if (isBlocked) destinations.enter(trigger, spec);
    return isBlocked;
  };
  const attempt = (outcome: Outcome, trigger = heldTrigger(Date.now())) => {
    destinations.started(trigger, spec);
    destinations.ended(trigger, spec, outcome);
  };
  const fail = (times: number) => {
    for (let each = 0; each < times; each++) attempt(BROKEN);
  };
  return { destinations, released, deferred, reasons, places, arrive, attempt, fail };
}

describe("a destination whose attempts fail", () => {
  test("gets single attempts after pauses of 1 s to 60 s, until one is answered", async () => {
    const { released, reasons, arrive, attempt, fail, destinations } = open();
    fail(9);
    expect(arrive()).toBe(false);
    fail(1);
    const waiting = Array.from({ length: 20 }, () => heldTrigger(Date.now()));
    for (const trigger of waiting) expect(arrive(trigger)).toBe(true);
    expect(new Set(reasons)).toEqual(new Set(["BREAKER"]));
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      await vi.advanceTimersByTimeAsync(pauseMs - 1);
      expect(released).toEqual([]);
      await vi.advanceTimersByTimeAsync(1);
      const [probe] = released.splice(0);
      expect(waiting).toContain(probe);
      // While it is in flight, there is no other one for half a minute.
      destinations.started(probe ?? heldTrigger(0), spec);
      await vi.advanceTimersByTimeAsync(29_999);
      expect(released).toEqual([]);
      destinations.ended(probe ?? heldTrigger(0), spec, BROKEN);
    }
    await vi.advanceTimersByTimeAsync(60_000);
    const [last] = released.splice(0);
    attempt(OK, last);
    expect(released).toHaveLength(waiting.length - 9);
    expect(destinations.size).toBe(0);
    expect(arrive()).toBe(false);
  });

  test("is forgotten when no trigger has come for ten minutes, and its lane then has all places", async () => {
    const { attempt, fail, arrive, places } = open();
    attempt(busy());
    expect(places).toEqual([32]);
    fail(10);
    await vi.advanceTimersByTimeAsync(1_000 + 570_000);
    expect(arrive()).toBe(false);
    expect(arrive()).toBe(true);
    const other = open();
    other.attempt(busy());
    other.fail(10);
    await vi.advanceTimersByTimeAsync(1_000 + 660_000);
    expect(other.places).toEqual([32, undefined]);
    expect(other.arrive()).toBe(false);
    expect(other.arrive()).toBe(false);
  });

  test("does not get the results of earlier attempts held for or against it while it is tried", async () => {
    const { released, attempt, fail, arrive, destinations } = open();
    const earlier = [heldTrigger(Date.now()), heldTrigger(Date.now())] as const;
    for (const trigger of earlier) destinations.started(trigger, spec);
    fail(10);
    arrive();
    await vi.advanceTimersByTimeAsync(1_000);
    const [probe] = released.splice(0);
    destinations.ended(earlier[0], spec, OK);
    destinations.ended(earlier[1], spec, BROKEN);
    expect(arrive()).toBe(true);
    attempt({ kind: "REJECTED", statusCode: 404, isFinal: false, retryAfterMs: undefined }, probe);
    expect(released).toHaveLength(1);
  });

  test("lets the next trigger through that comes when none waits, and another one when that does not start", async () => {
    const { arrive, fail, released } = open();
    fail(10);
    await vi.advanceTimersByTimeAsync(1_000);
    const [first, second] = [heldTrigger(Date.now()), heldTrigger(Date.now())];
    expect([arrive(first), arrive(second), arrive(first)]).toEqual([false, true, false]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(released).toEqual([second]);
    expect(arrive(first)).toBe(true);
  });

  test("is tried again every half minute while single attempts hang, and the answer to any of them is enough", async () => {
    const { released, fail, arrive, destinations } = open();
    fail(10);
    const waiting = Array.from({ length: 5 }, () => heldTrigger(Date.now()));
    for (const trigger of waiting) arrive(trigger);
    await vi.advanceTimersByTimeAsync(1_000);
    const probes: HeldTrigger[] = [];
    for (let each = 0; each < 3; each++) {
      const [probe] = released.splice(0);
      if (probe === undefined) throw new Error("No single attempt was let through.");
      probes.push(probe);
      destinations.started(probe, spec);
      expect(released).toEqual([]);
      if (each < 2) await vi.advanceTimersByTimeAsync(30_000);
    }
    const [first = heldTrigger(0), second = heldTrigger(0)] = probes;
    destinations.ended(first, spec, BROKEN);
    expect(arrive()).toBe(true);
    destinations.ended(second, spec, OK);
    expect(released).toHaveLength(3);
    expect(arrive()).toBe(false);
  });

  test("is of one project and one origin", () => {
    const { fail, arrive, destinations } = open();
    fail(10);
    expect(arrive(heldTrigger(0, { projectId: "proj_2" }))).toBe(false);
    expect(destinations.isBlocked(heldTrigger(0), { ...spec, destination: "http://b.example" })).toBe(false);
  });

  test("no longer holds up a trigger whose maxAge is over", async () => {
    const { fail, arrive, released } = open();
    fail(10);
    const [fresh, old] = [heldTrigger(Date.now()), heldTrigger(Date.now() - 599_500)];
    expect([arrive(fresh), arrive(old)]).toEqual([true, true]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(released).toEqual([old, fresh]);
    expect([arrive(), arrive(heldTrigger(Date.now() - 600_000))]).toEqual([true, false]);
  });

  test("has a bounded number of triggers in memory, and the others are put off, at most until maxAge", () => {
    const { fail, arrive, deferred, destinations } = open();
    fail(10);
    for (let each = 0; each < 1_200; each++) arrive();
    expect(destinations.size).toBe(1_000);
    expect(deferred).toHaveLength(200);
    expect(deferred[0]?.dueMs).toBe(Date.now() + 18_750);
    arrive(heldTrigger(Date.now() - 599_000));
    expect(deferred.at(-1)?.dueMs).toBe(Date.now() + 1_000);
  });
});

describe("a destination that asks for less", () => {
  test("gets half of its places each second, and more again with each answer", async () => {
    const { attempt, places } = open();
    for (let second = 0; second < 8; second++) {
      for (let each = 0; each < 3; each++) attempt(busy());
      for (let each = 0; each < 3; each++) attempt({ kind: "SUCCEEDED", statusCode: 200 });
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(places.slice(0, 4)).toEqual([32, 16, 8, 4]);
    for (let each = 0; each < 3_000; each++) attempt(OK);
    expect(places.at(-1)).toBeUndefined();
  });

  test("gets nothing until its Retry-After is over, but is asked once a minute", async () => {
    const { attempt, arrive, released, reasons } = open();
    attempt(busy(3_600_000));
    expect(arrive()).toBe(true);
    expect(reasons).toEqual(["RETRY_AFTER"]);
    await vi.advanceTimersByTimeAsync(59_999);
    expect(released).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    attempt(busy(5_000), released.pop());
    arrive();
    await vi.advanceTimersByTimeAsync(4_999);
    expect(released).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    attempt(OK, released.pop());
    expect(arrive()).toBe(false);
  });
});
