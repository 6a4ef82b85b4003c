import { expect, test } from "vitest";
import { createFifo } from "./fifo.ts";

test("a FIFO queue returns items in the order of the pushes, also after it was compacted", () => {
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
