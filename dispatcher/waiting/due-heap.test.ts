import fc from "fast-check";
import { expect, test } from "vitest";
import { createFifo } from "../lanes/fifo.ts";
import { createDueHeap } from "./due-heap.ts";

test("a due heap gives what was pushed in due order, however pushes and pops are mixed", () => {
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

test("a queue gives what was pushed in that order, over its compactions", () => {
  const queue = createFifo<number>();
  let pushed = 0;
  let shifted = 0;
  for (let round = 0; round < 2_000; round++) {
    for (let each = 0; each < 3; each++) queue.push(pushed++);
    for (let each = 0; each < 2; each++) expect(queue.shift()).toBe(shifted++);
    expect(queue.size).toBe(pushed - shifted);
  }
  expect(queue.clear()).toEqual(Array.from({ length: pushed - shifted }, (_, index) => shifted + index));
  expect(queue.shift()).toBeUndefined();
});
