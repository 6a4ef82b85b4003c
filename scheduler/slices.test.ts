import { expect, test } from "vitest";
import { runInSlices, type Sliced } from "./slices.ts";

/** Counts until it is told to stop. */
function* countUp(): Sliced<number> {
  for (let n = 1; ; n++) if (yield) return n;
}

test("lets everything else run between two slices", async () => {
  let ms = 0;
  const turns: string[] = [];
  const slow = runInSlices(countUp(), { sliceMs: 1, budgetMs: 3, elapsed: () => ms++ }).then(() =>
    turns.push("work"),
  );
  setImmediate(() => turns.push("other"));
  await slow;
  expect(turns).toEqual(["other", "work"]);
});

test("tells the work to stop when its budget is spent, of which pauses are no part", async () => {
  let ms = 0;
  const clock = () => ms++;
  expect(await runInSlices(countUp(), { sliceMs: 10, budgetMs: 100, elapsed: clock })).toBe(100);
});

test("tells the work to stop when nobody wants its answer", async () => {
  const stopping = new AbortController();
  stopping.abort();
  expect(await runInSlices(countUp(), { signal: stopping.signal })).toBe(1);
});
