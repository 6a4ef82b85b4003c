import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BURST_MS, type FlowAnswer, type FlowLimits, type FlowStore } from "./flow-store.ts";
import { createLocalFlowStore } from "./local-flow-store.ts";

const limitsOf = (given: Partial<FlowLimits>): FlowLimits => ({
  maxInFlight: undefined,
  ratePerSecond: undefined,
  ...given,
});

async function take(
  store: FlowStore,
  limits: Partial<FlowLimits>,
  wanted = 1,
  key = "p k",
): Promise<FlowAnswer> {
  const [answer] = await store.take([{ key, limits: limitsOf(limits), wanted }]);
  if (answer === undefined) throw new Error("the store gave no answer");
  return answer;
}

describe("the flow store of one process", () => {
  test("grants as many places as a key has, and again those that are released", async () => {
    const store = createLocalFlowStore(() => 0);
    expect(await take(store, { maxInFlight: 3 }, 5)).toEqual({ granted: 3, againMs: 1_000 });
    expect((await take(store, { maxInFlight: 3 })).granted).toBe(0);
    expect((await take(store, { maxInFlight: 3 }, 5, "p other")).granted).toBe(3);
    store.release([{ key: "p k", count: 2 }]);
    expect((await take(store, { maxInFlight: 3 }, 5)).granted).toBe(2);
  });

  test("counts what all jobs of a key hold, and applies the limit of the job that asks", async () => {
    const store = createLocalFlowStore(() => 0);
    expect((await take(store, {}, 4)).granted).toBe(4);
    expect((await take(store, { maxInFlight: 3 })).granted).toBe(0);
    expect((await take(store, { maxInFlight: 6 }, 5)).granted).toBe(2);
  });

  test("spaces starts evenly, also at less than one per second, and says when to ask again", async () => {
    let now = 0;
    const store = createLocalFlowStore(() => now);
    expect(await take(store, { ratePerSecond: 0.2 }, 9)).toEqual({ granted: 1, againMs: 5_000 });
    now = 4_999;
    expect(await take(store, { ratePerSecond: 0.2 })).toEqual({ granted: 0, againMs: 1 });
    now = 5_000;
    expect((await take(store, { ratePerSecond: 0.2 })).granted).toBe(1);
  });

  test("lets a quick key use a tenth of a second's rate at once after it was idle, and no more", async () => {
    let now = 0;
    const store = createLocalFlowStore(() => now);
    expect(await take(store, { ratePerSecond: 1_000 }, 500)).toEqual({ granted: 101, againMs: 1 });
    now = 60_000;
    expect((await take(store, { ratePerSecond: 1_000 }, 500)).granted).toBe(101);
  });

  test("never exceeds the rate in any span of time, nor the places, whatever is asked and released", async () => {
    const step = fc.record({
      waitMs: fc.nat(400),
      wanted: fc.integer({ min: 1, max: 30 }),
      released: fc.nat(30),
    });
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 60 }),
      fc.constantFrom(0.5, 3, 7, 10, 64, 1_000),
      fc.integer({ min: 1, max: 20 }),
      async (steps, ratePerSecond, maxInFlight) => {
        let now = 0;
        let held = 0;
        const starts: number[] = [];
        const store = createLocalFlowStore(() => now);
        for (const { waitMs, wanted, released } of steps) {
          now += waitMs;
          const given = Math.min(held, released);
          store.release([{ key: "p k", count: given }]);
          held -= given;
          const { granted } = await take(store, { ratePerSecond, maxInFlight }, wanted);
          held += granted;
          expect(held).toBeLessThanOrEqual(maxInFlight);
          for (let each = 0; each < granted; each++) starts.push(now);
        }
        for (let first = 0; first < starts.length; first++) {
          for (let last = first; last < starts.length; last++) {
            const spanMs = (starts[last] ?? 0) - (starts[first] ?? 0);
            const most = Math.floor((ratePerSecond * (spanMs + BURST_MS)) / 1_000 + 1e-6) + 1;
            expect(last - first + 1).toBeLessThanOrEqual(most);
          }
        }
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });

  test("starts at the full rate when it is asked again as it says", async () => {
    const property = fc.asyncProperty(
      fc.double({ min: 0.05, max: 900, noNaN: true }),
      async (ratePerSecond) => {
        let now = 0;
        let started = 0;
        const store = createLocalFlowStore(() => now);
        const endMs = (200 / ratePerSecond) * 1_000;
        while (now < endMs) {
          const { granted, againMs } = await take(store, { ratePerSecond }, 200);
          started += granted;
          store.release([{ key: "p k", count: granted }]);
          now += againMs;
        }
        // Asking comes at whole milliseconds, and what it is late by is within the tenth of a second.
        expect(started).toBeGreaterThanOrEqual(ratePerSecond > 10 ? 190 : 198);
      },
    );
    await fc.assert(property, { numRuns: 50 });
  });
});
