import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { signTrigger } from "../fakes/sign-trigger.ts";
import { memoryStore } from "../idempotency/memory-store.ts";
import type { TriggerFired } from "../trigger-fired.ts";
import type { ChainCheck } from "./chain-state.ts";
import { checkChain } from "./check-chain.ts";

const timeOf = (seq: number) => new Date(Date.UTC(2027, 0, 1, 0, seq)).toISOString();

/** The trigger with a number, of a job that fires once a minute. */
function numbered(seq: number, given: Partial<TriggerFired> = {}): TriggerFired {
  const times = { nominalTime: timeOf(seq), previousNominalTime: seq === 1 ? null : timeOf(seq - 1) };
  return signTrigger({ seq, ...times, ...given }).trigger;
}

let check: (trigger: TriggerFired) => Promise<ChainCheck>;
beforeEach(() => {
  check = checkChain(memoryStore());
});

/** The checks of triggers that arrive one after the other, in short. */
async function checks(...seqs: number[]): Promise<string[]> {
  const found: string[] = [];
  for (const seq of seqs) {
    const each = await check(numbered(seq));
    found.push(each.kind === "GAP" ? `${each.gap.fromSeq}-${each.gap.toSeq}` : each.kind);
  }
  return found;
}

describe("the check of a chain", () => {
  test("finds nothing wrong with triggers in order, with copies, and with a first one of any number", async () => {
    expect(await checks(41, 42, 42, 41, 43)).toEqual(["OK", "OK", "OK", "OK", "OK"]);
  });

  test("finds a gap, and names its numbers and the times on both sides", async () => {
    await check(numbered(3));
    const found = await check(numbered(7));
    const { job } = numbered(3);
    expect(found).toEqual({
      kind: "GAP",
      gap: { job, fromSeq: 4, toSeq: 6, afterNominalTime: timeOf(3), beforeNominalTime: timeOf(7) },
    });
  });

  test("finds that missing ones come late, each once", async () => {
    expect(await checks(1, 4, 3, 3, 2, 5)).toEqual(["OK", "2-3", "LATE", "OK", "LATE", "OK"]);
  });

  test("finds a gap again in a copy of the trigger that showed it, until all of it has come", async () => {
    expect(await checks(1, 4, 4, 2, 4, 3, 4)).toEqual(["OK", "2-3", "2-3", "LATE", "2-3", "LATE", "OK"]);
  });

  test("leaves manual runs out, and keeps jobs apart", async () => {
    await check(numbered(1));
    expect(await check(numbered(0))).toEqual({ kind: "OK" });
    expect(await check(numbered(9, { job: { name: "b", uid: "job_b", revision: 1 } }))).toEqual({
      kind: "OK",
    });
    expect(await checks(2)).toEqual(["OK"]);
  });

  test("finds that the trigger before was another one than it says", async () => {
    await check(numbered(1));
    expect(await check(numbered(2, { previousNominalTime: timeOf(0) }))).toEqual({
      kind: "MISMATCH",
      seen: timeOf(1),
      previousNominalTime: timeOf(0),
    });
    expect(await checks(3)).toEqual(["OK"]);
  });

  test("remembers at most 1,000 missing numbers, the newest ones", async () => {
    expect(await checks(1, 5_000, 4_000, 3_999)).toEqual(["OK", "2-4999", "LATE", "OK"]);
  });

  test("finds after any order of arrival, copies included, that nothing is missing", async () => {
    const arrivals = fc.integer({ min: 1, max: 12 }).chain((last) =>
      fc.tuple(
        fc.shuffledSubarray(
          Array.from({ length: last }, (_, index) => index + 2),
          { minLength: last, maxLength: last },
        ),
        fc.array(fc.integer({ min: 1, max: last + 1 }), { maxLength: 5 }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(arrivals, async ([order, copies]) => {
        const store = memoryStore();
        check = checkChain(store);
        await check(numbered(1));
        // Several processes at once.
        await Promise.all([...order, ...copies].map((seq) => check(numbered(seq))));
        const { job } = numbered(1);
        const state = JSON.parse((await store.read(`chain:${job.uid}`)) ?? "");
        expect(state).toMatchObject({ seq: Math.max(...order), missing: [] });
      }),
      { numRuns: 100 },
    );
  });

  test("is not made with a store that is none", () => {
    expect(() => checkChain(new Map() as never)).toThrow("The store has no methods read and swap");
  });

  test("gives up, and says so, when others always change the state first", async () => {
    check = checkChain({ read: async () => undefined, swap: async () => false });
    await expect(check(numbered(1))).rejects.toThrow("changed by others 20 times");
  });
});
