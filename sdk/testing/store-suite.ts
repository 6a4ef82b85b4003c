import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Clock } from "../clock.ts";
import { createFakeClock, type FakeClock } from "../fakes/fake-clock.ts";
import type { IdempotencyStore, TextStore } from "../idempotency/store.ts";

const LEASE_MS = 1_000;
const KEEP_MS = 60_000;

/** What a store is made with in the suite. */
export interface SuiteOptions {
  readonly keepMs: number;
  readonly clock: Clock;
}

/** A server on which the suite makes stores. */
export interface SuiteServer {
  /** Makes a store. Stores made on one server share what they remember. */
  create(options: SuiteOptions): IdempotencyStore & TextStore;
  stop(): Promise<void>;
}

type Step =
  | { readonly act: "claim" | "renew" | "complete" | "release"; readonly by: number }
  | { readonly act: "wait"; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    act: fc.constantFrom("claim", "renew", "complete", "release" as const),
    by: fc.integer({ min: 0, max: 2 }),
  }),
  fc.record({ act: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 1_500 }) }),
);

/** Describes what every store does, on a server that `start` starts. */
export function describeStore(
  name: string,
  start: () => Promise<SuiteServer>,
  { runs }: { readonly runs: number },
): void {
  describe(`the store in ${name}`, () => {
    let server: SuiteServer;
    let clock: FakeClock;
    let store: IdempotencyStore & TextStore;
    let number = 0;
    const newId = () => `trg_${++number}`;
    const claim = async (id: string): Promise<number> => {
      const answer = await store.claim(id, { leaseMs: LEASE_MS });
      if (answer.kind !== "CLAIMED") throw new Error(`${id} is ${answer.kind}.`);
      return answer.token;
    };

    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server.stop());
    beforeEach(() => {
      clock = createFakeClock();
      store = server.create({ keepMs: KEEP_MS, clock });
    });

    test("gives an id to one of many claims at once, and says how long it is held", async () => {
      const id = newId();
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => store.claim(id, { leaseMs: LEASE_MS })),
      );
      expect(answers.filter(({ kind }) => kind === "CLAIMED")).toHaveLength(1);
      await clock.advance(400);
      expect(await store.claim(id, { leaseMs: LEASE_MS })).toEqual({ kind: "HELD", retryAfterMs: 600 });
    });

    test("answers with the result once the id is completed, and not after it is forgotten", async () => {
      const id = newId();
      const token = await claim(id);
      const result = `{"é":"${"x".repeat(60_000)}"}`;
      expect(await store.complete(id, token, result)).toBe(true);
      await clock.advance(KEEP_MS - 1);
      expect(await store.claim(id, { leaseMs: LEASE_MS })).toEqual({ kind: "COMPLETED", result });
      await clock.advance(1);
      expect(await claim(id)).toBeGreaterThan(token);
    });

    test("keeps an empty result", async () => {
      const id = newId();
      await store.complete(id, await claim(id), "");
      expect(await store.claim(id, { leaseMs: LEASE_MS })).toEqual({ kind: "COMPLETED", result: "" });
    });

    test("gives the id to the next claim when the lease has ended, with a larger token", async () => {
      const id = newId();
      const first = await claim(id);
      await clock.advance(LEASE_MS - 1);
      expect(await store.claim(id, { leaseMs: LEASE_MS })).toMatchObject({ kind: "HELD" });
      await clock.advance(1);
      const second = await claim(id);
      expect(second).toBeGreaterThan(first);
      expect(await store.complete(id, first, "1")).toBe(false);
      expect(await store.claim(id, { leaseMs: LEASE_MS, token: first })).toMatchObject({ kind: "HELD" });
      await store.release(id, first);
      expect(await store.complete(id, second, "2")).toBe(true);
      expect(await store.claim(id, { leaseMs: LEASE_MS })).toEqual({ kind: "COMPLETED", result: "2" });
    });

    test("renews a claim for another lease", async () => {
      const id = newId();
      const token = await claim(id);
      await clock.advance(900);
      expect(await store.claim(id, { leaseMs: LEASE_MS, token })).toEqual({ kind: "CLAIMED", token });
      await clock.advance(900);
      expect(await store.claim(id, { leaseMs: LEASE_MS })).toEqual({ kind: "HELD", retryAfterMs: 100 });
    });

    test("lets a claim be renewed and completed after its lease, if nobody has claimed the id since", async () => {
      const id = newId();
      const token = await claim(id);
      await clock.advance(LEASE_MS + 1);
      expect(await store.claim(id, { leaseMs: LEASE_MS, token })).toEqual({ kind: "CLAIMED", token });
      await clock.advance(LEASE_MS + 1);
      expect(await store.complete(id, token, "1")).toBe(true);
    });

    test("gives a released id to the next claim at once, and the old token is no longer valid", async () => {
      const id = newId();
      const first = await claim(id);
      await store.release(id, first);
      expect(await store.complete(id, first, "1")).toBe(false);
      const second = await claim(id);
      expect(second).toBeGreaterThan(first);
      expect(await store.complete(id, first, "1")).toBe(false);
      expect(await store.complete(id, second, "2")).toBe(true);
    });

    test("completes once: a repetition changes nothing, and a release does not undo it", async () => {
      const id = newId();
      const token = await claim(id);
      expect(await store.complete(id, token, "1")).toBe(true);
      expect(await store.complete(id, token, "2")).toBe(true);
      await store.release(id, token);
      expect(await store.claim(id, { leaseMs: LEASE_MS, token })).toEqual({ kind: "COMPLETED", result: "1" });
    });

    test("does nothing for an id that it does not know", async () => {
      const id = newId();
      expect(await store.complete(id, 1, "1")).toBe(false);
      await store.release(id, 1);
      expect(await store.claim(id, { leaseMs: LEASE_MS, token: 1 })).toMatchObject({ kind: "HELD" });
      expect(await store.claim(id, { leaseMs: LEASE_MS })).toMatchObject({ kind: "CLAIMED" });
    });

    test("never has two valid tokens for an id, and gives no claim after it is completed", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
          await checkSteps(store, clock, newId(), steps);
        }),
        { numRuns: runs },
      );
    });

    test("replaces a text only if it is still the one that was read", async () => {
      const key = newId();
      expect(await store.read(key)).toBeUndefined();
      expect(await store.swap(key, "0", "1")).toBe(false);
      const swaps = ["a", "b", "c"].map((text) => store.swap(key, undefined, text));
      expect((await Promise.all(swaps)).filter((isDone) => isDone)).toHaveLength(1);
      const text = await store.read(key);
      expect(await store.swap(key, undefined, "d")).toBe(false);
      expect(await store.swap(key, text, "")).toBe(true);
      expect(await store.read(key)).toBe("");
      expect(await store.swap(key, text, "e")).toBe(false);
      expect(await store.swap(key, "", "f")).toBe(true);
    });
  });
}

/** Follows the steps of three workers with a model: who has the valid token, and until when. */
async function checkSteps(
  store: IdempotencyStore,
  clock: FakeClock,
  id: string,
  steps: readonly Step[],
): Promise<void> {
  const tokens = new Map<number, number>();
  let valid: number | undefined;
  let untilMs = 0;
  let result: string | undefined;
  let largest = 0;
  for (const each of steps) {
    if (each.act === "wait") {
      await clock.advance(each.ms);
      continue;
    }
    const nowMs = clock.now().getTime();
    const own = tokens.get(each.by);
    if (each.act === "claim") {
      const answer = await store.claim(id, { leaseMs: LEASE_MS });
      const isFree = result === undefined && (valid === undefined || untilMs <= nowMs);
      const expected = result !== undefined ? "COMPLETED" : isFree ? "CLAIMED" : "HELD";
      expect(answer.kind).toBe(expected);
      if (answer.kind !== "CLAIMED") continue;
      expect(answer.token).toBeGreaterThan(largest);
      largest = answer.token;
      valid = answer.token;
      untilMs = nowMs + LEASE_MS;
      tokens.set(each.by, answer.token);
    } else if (own !== undefined && each.act === "renew") {
      const { kind } = await store.claim(id, { leaseMs: LEASE_MS, token: own });
      const isValid = result === undefined && own === valid;
      expect(kind).toBe(isValid ? "CLAIMED" : result === undefined ? "HELD" : "COMPLETED");
      if (isValid) untilMs = nowMs + LEASE_MS;
    } else if (own !== undefined && each.act === "complete") {
      expect(await store.complete(id, own, String(own))).toBe(own === valid);
      if (own === valid) result ??= String(own);
    } else if (own !== undefined) {
      await store.release(id, own);
      if (own === valid && result === undefined) valid = undefined;
    }
  }
}
