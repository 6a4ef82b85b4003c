import fc from "fast-check";
import { expect, test } from "vitest";
import type { Clock } from "../clock.ts";
import { createFakeClock, type FakeClock } from "../fakes/fake-clock.ts";
import { memoryStore } from "./memory-store.ts";
import { type Outcome, once } from "./once.ts";
import type { IdempotencyStore } from "./store.ts";

const LEASE_MS = 3_000;
const END_MS = 60_000;

/** One delivery, to a process of its own. */
interface Delivery {
  readonly arrivesMs: number;
  /** How long its handler takes. */
  readonly takesMs: number;
  /**
   * How it ends. A process that dies makes no more calls. One that stalls does nothing for two leases, not even renew,
   * and then goes on.
   */
  readonly fate: "returns" | "throws" | "dies" | "stalls";
}

const deliveries = (fates: readonly Delivery["fate"][]) =>
  fc.array(
    fc.record({
      arrivesMs: fc.integer({ min: 0, max: 20_000 }),
      takesMs: fc.integer({ min: 0, max: 10_000 }),
      fate: fc.constantFrom(...fates),
    }),
    { minLength: 1, maxLength: 8 },
  );

interface Run {
  readonly token: number;
  readonly startMs: number;
  endMs: number;
}

interface History {
  readonly runs: Run[];
  readonly outcomes: Outcome<string>[];
  /** When a handler was recorded as done. */
  readonly completedMs: number[];
}

/** Makes the clock and the store of a process that breaks half-way through its handler. */
function breakProcess({ fate, takesMs }: Delivery, clock: FakeClock, store: IdempotencyStore) {
  const startMs = clock.now().getTime();
  const breaksMs = startMs + takesMs / 2;
  const goesOnMs = fate === "stalls" ? breaksMs + 2 * LEASE_MS : Number.POSITIVE_INFINITY;
  const isBroken = () => {
    const nowMs = clock.now().getTime();
    return (fate === "dies" || fate === "stalls") && nowMs >= breaksMs && nowMs < goesOnMs;
  };
  const never = () => new Promise<never>(() => {});
  const own: Clock = {
    now: clock.now,
    after: (ms, act) =>
      clock.after(ms, () => {
        if (!isBroken()) act();
        else if (fate === "stalls") clock.after(goesOnMs - clock.now().getTime(), act);
      }),
  };
  const ownStore: IdempotencyStore = {
    claim: (...args) => (isBroken() ? never() : store.claim(...args)),
    complete: (...args) => (isBroken() ? never() : store.complete(...args)),
    release: (...args) => (isBroken() ? never() : store.release(...args)),
  };
  return { clock: own, store: ownStore };
}

async function play(all: readonly Delivery[]): Promise<History> {
  const clock = createFakeClock();
  const startMs = clock.now().getTime();
  const completedMs: number[] = [];
  const memory = memoryStore({ clock });
  const shared: IdempotencyStore = {
    ...memory,
    complete: async (...args) => {
      const isDone = await memory.complete(...args);
      if (isDone) completedMs.push(clock.now().getTime());
      return isDone;
    },
  };
  const runs: Run[] = [];
  const outcomes: Outcome<string>[] = [];
  const deliver = async (delivery: Delivery): Promise<void> => {
    const { clock: own, store } = breakProcess(delivery, clock, shared);
    const handler = async ({ token }: { token: number }) => {
      const run = { token, startMs: clock.now().getTime(), endMs: Number.POSITIVE_INFINITY };
      runs.push(run);
      if (delivery.takesMs > 0) await new Promise<void>((done) => void own.after(delivery.takesMs, done));
      run.endMs = clock.now().getTime();
      if (delivery.fate === "throws") throw new Error("The handler failed.");
      return `by ${token}`;
    };
    try {
      outcomes.push(await once("trg_1", store, handler, { leaseMs: LEASE_MS, clock: own }));
    } catch {
      // The attempt failed; later ones are other deliveries.
    }
  };
  for (const delivery of all) clock.after(delivery.arrivesMs, () => void deliver(delivery));
  await clock.advance(END_MS);
  await deliver({ arrivesMs: END_MS, takesMs: 0, fate: "returns" });
  expect(clock.now().getTime()).toBe(startMs + END_MS);
  return { runs, outcomes, completedMs };
}

test("a completed handler never runs again, tokens grow, and one delivery in peace completes it", async () => {
  await fc.assert(
    fc.asyncProperty(deliveries(["returns", "throws", "dies", "stalls"]), async (all) => {
      const { runs, outcomes, completedMs } = await play(all);
      expect(completedMs).toHaveLength(1);
      const [doneMs = 0] = completedMs;
      expect(runs.filter(({ startMs }) => startMs > doneMs)).toEqual([]);
      const tokens = runs.map(({ token }) => token);
      expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => a - b));
      const ran = outcomes.filter(({ kind }) => kind === "RAN");
      expect(ran).toHaveLength(1);
      const values = outcomes.flatMap((outcome) => (outcome.kind === "IN_PROGRESS" ? [] : [outcome.value]));
      expect(new Set(values).size).toBe(1);
      expect(outcomes.at(-1)?.kind).not.toBe("IN_PROGRESS");
    }),
    { numRuns: 150 },
  );
});

test("two handlers run at once only if a process stalls: never for copies, errors and deaths", async () => {
  await fc.assert(
    fc.asyncProperty(deliveries(["returns", "throws", "dies"]), async (all) => {
      const { runs } = await play(all);
      for (const [index, run] of runs.entries()) {
        const before = runs.slice(0, index).filter(({ endMs }) => endMs !== Number.POSITIVE_INFINITY);
        for (const { endMs } of before) expect(run.startMs).toBeGreaterThanOrEqual(endMs);
      }
    }),
    { numRuns: 150 },
  );
});
