import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { takeApart } from "./take-apart.ts";

const isItemFault = (error: unknown) => error instanceof RangeError;

const workOf = (bad: ReadonlySet<number>, runs: number[][]) => async (part: readonly number[]) => {
  runs.push([...part]);
  if (part.some((item) => bad.has(item))) throw new RangeError(part.join());
  return part;
};

describe("a batch that is taken apart", () => {
  test("runs once when nothing fails, and not at all when it is empty", async () => {
    const runs: number[][] = [];
    expect(await takeApart([1, 2, 3], workOf(new Set(), runs), { isItemFault })).toEqual({
      results: [[1, 2, 3]],
      failed: [],
    });
    expect(await takeApart([], workOf(new Set(), runs), { isItemFault })).toEqual({
      results: [],
      failed: [],
    });
    expect(runs).toEqual([[1, 2, 3]]);
  });

  test("gives back exactly the items that fail alone, and does all the others once, in their order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer(), { maxLength: 60 }),
        fc.func(fc.boolean()),
        async (batch, isBad) => {
          const bad = new Set(batch.filter((item) => isBad(item)));
          const { results, failed } = await takeApart(batch, workOf(bad, []), { isItemFault });
          expect(results.flat()).toEqual(batch.filter((item) => !bad.has(item)));
          expect(failed.map(({ item }) => item)).toEqual(batch.filter((item) => bad.has(item)));
          expect(failed.every(({ item, error }) => (error as Error).message === String(item))).toBe(true);
        },
      ),
    );
  });

  test("finds one bad item among 500 in at most 19 runs", async () => {
    const batch = Array.from({ length: 500 }, (_, index) => index);
    for (const bad of [0, 250, 333, 499]) {
      const runs: number[][] = [];
      await takeApart(batch, workOf(new Set([bad]), runs), { isItemFault });
      expect(runs.length).toBeLessThanOrEqual(19);
    }
  });

  test("stops at an error that is no item's fault", async () => {
    let runs = 0;
    const work = async (): Promise<void> => {
      runs += 1;
      throw runs === 1 ? new RangeError("item") : new Error("away");
    };
    await expect(takeApart([1, 2, 3, 4], work, { isItemFault })).rejects.toThrow("away");
    expect(runs).toBe(2);
  });
});
