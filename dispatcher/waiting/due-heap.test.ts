import fc from "fast-check";
import { expect, test } from "vitest";
import { createDueHeap } from "./due-heap.ts";

test("a due heap returns items by due time, in whatever order they are pushed and popped", () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined })), (steps) => {
      const heap = createDueHeap<{ dueTimeMs: number }>();
      let model: number[] = [];
      for (const step of steps) {
        if (step === undefined) {
          model = model.toSorted((a, b) => a - b);
          expect(heap.peek()?.dueTimeMs).toBe(model[0]);
          expect(heap.pop()?.dueTimeMs).toBe(model.shift());
        } else {
          heap.push({ dueTimeMs: step });
          model.push(step);
        }
        expect(heap.size).toBe(model.length);
      }
    }),
  );
});
