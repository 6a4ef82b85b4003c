import { expect, test } from "vitest";
import { createInFlight } from "./in-flight.ts";

test("one project has at most half of the room, so another one finds some", () => {
  const inFlight = createInFlight({ maxMessages: 10, maxBytes: 1_000 });
  expect(inFlight.enter("a", 5, 0)).toBeDefined();
  expect(inFlight.enter("a", 1, 0)).toBeUndefined();
  expect(inFlight.enter("b", 5, 0)).toBeDefined();
  expect(inFlight.enter("c", 1, 0)).toBeUndefined();
});

test("bytes are bounded like messages", () => {
  const inFlight = createInFlight({ maxMessages: 10, maxBytes: 1_000 });
  expect(inFlight.enter("a", 1, 501)).toBeUndefined();
  expect(inFlight.enter("a", 1, 500)).toBeDefined();
  expect(inFlight.enter("b", 1, 500)).toBeDefined();
  expect(inFlight.enter("c", 1, 1)).toBeUndefined();
});

test("room is given back once, however often the function is called", () => {
  const inFlight = createInFlight({ maxMessages: 10, maxBytes: 1_000 });
  const leave = inFlight.enter("a", 5, 500);
  leave?.();
  leave?.();
  expect(inFlight.enter("a", 5, 500)).toBeDefined();
  expect(inFlight.enter("a", 1, 0)).toBeUndefined();
  expect(inFlight.enter("b", 5, 500)).toBeDefined();
  expect(inFlight.enter("b", 1, 0)).toBeUndefined();
});
