import { expect, test } from "vitest";
import { createKeyUses } from "./key-uses.ts";

const silent = () => {};

function start() {
  const state = { nowMs: 0, warnings: 0 };
  const asked: { readonly keyId: unknown; readonly settle: PromiseWithResolvers<never[]> }[] = [];
  const uses = createKeyUses({
    database: {
      query: async (_, [keyId] = []) => {
        const settle = Promise.withResolvers<never[]>();
        asked.push({ keyId, settle });
        return settle.promise;
      },
    },
    logger: { debug: silent, info: silent, error: silent, warn: () => void state.warnings++ },
    clock: { now: () => state.nowMs },
  });
  const end = async (index: number, error?: Error) => {
    if (error === undefined) asked[index]?.settle.resolve([]);
    else asked[index]?.settle.reject(error);
    await new Promise(setImmediate);
  };
  return { state, uses, end, written: () => asked.map(({ keyId }) => keyId) };
}

test("a use is written once at a time for each key, and two at a time in all", async () => {
  const { uses, end, written } = start();
  for (const keyId of ["key_a", "key_a", "key_b", "key_c"]) uses.note(keyId);
  expect(written()).toEqual(["key_a", "key_b"]);
  await end(0);
  uses.note("key_c");
  expect(written()).toEqual(["key_a", "key_b", "key_c"]);
});

test("a use that cannot be written is logged, and nothing is written for ten seconds", async () => {
  const { state, uses, end, written } = start();
  uses.note("key_a");
  await end(0, new Error("the database is away"));
  expect(state.warnings).toBe(1);
  state.nowMs = 9_999;
  uses.note("key_a");
  expect(written()).toHaveLength(1);
  state.nowMs = 10_000;
  uses.note("key_a");
  expect(written()).toHaveLength(2);
});
