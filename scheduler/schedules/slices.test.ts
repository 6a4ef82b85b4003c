import { expect, test } from "vitest";
import { runInSlices, type Sliced } from "./slices.ts";

/** Counts until it is told to stop. */
function* countUp(): Sliced<number> {
  for (let n = 1; ; n++) if (yield) return n;
}

/** A clock that goes on by a millisecond whenever it is read. */
function ticking(): () => number {
  let ms = 0;
  return () => ms++;
}

test("work in slices lets everything else run between two slices", async () => {
  const turns: string[] = [];
  const options = { sliceMs: 1, budgetMs: 3, elapsed: ticking(), computed: ticking() };
  const slow = runInSlices(countUp(), options).then(() => turns.push("work"));
  setImmediate(() => turns.push("other"));
  await slow;
  expect(turns).toEqual(["other", "work"]);
});

test("work in slices is told to stop when its time budget is spent; pauses and a busy machine do not count", async () => {
  // Each slice is ten steps long, and one millisecond of the processor.
  const options = { sliceMs: 10, budgetMs: 5, elapsed: ticking(), computed: ticking() };
  expect(await runInSlices(countUp(), options)).toBe(5 * 10);
});

test("work in slices is told to stop when its caller is gone", async () => {
  const stopping = new AbortController();
  stopping.abort();
  expect(await runInSlices(countUp(), { signal: stopping.signal })).toBe(1);
});
