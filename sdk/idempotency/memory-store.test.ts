import { expect, test } from "vitest";
import { createFakeClock } from "../fakes/fake-clock.ts";
import { describeStore } from "../testing/store-suite.ts";
import { memoryStore } from "./memory-store.ts";

describeStore("memory", async () => ({ create: (options) => memoryStore(options), stop: async () => {} }), {
  runs: 100,
});

test("the store in memory forgets the id that was completed first when it is full, never one in progress", async () => {
  const clock = createFakeClock();
  const store = memoryStore({ maxEntries: 2, clock });
  const claim = (id: string) => store.claim(id, { leaseMs: 1_000 });
  const first = await claim("a");
  await claim("b");
  await expect(claim("c")).rejects.toThrow("holds 2 claims in progress");
  if (first.kind !== "CLAIMED") throw new Error(first.kind);
  await store.complete("a", first.token, "1");
  expect(await claim("c")).toMatchObject({ kind: "CLAIMED" });
  expect(await claim("b")).toMatchObject({ kind: "HELD" });
  await clock.advance(1_000);
  expect(await claim("d")).toMatchObject({ kind: "CLAIMED" });
});

test("the store in memory keeps a bounded number of texts", async () => {
  const store = memoryStore({ maxEntries: 2 });
  for (const key of ["a", "b", "c"]) await store.swap(key, undefined, key);
  expect([await store.read("a"), await store.read("b"), await store.read("c")]).toEqual([
    undefined,
    "b",
    "c",
  ]);
});

test("the store in memory refuses to have no room", () => {
  expect(() => memoryStore({ maxEntries: 0 })).toThrow("maxEntries is 0");
});
