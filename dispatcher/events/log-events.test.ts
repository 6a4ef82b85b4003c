import { afterEach, expect, test, vi } from "vitest";
import { createEvents } from "./events.ts";
import { logEvents } from "./log-events.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("a part that keeps failing is logged at once, and then every ten seconds with the failures since", () => {
  vi.useFakeTimers();
  const lines: unknown[] = [];
  const add = ({ part, failures }: { part?: string; failures?: number }) => lines.push([part, failures]);
  const events = createEvents();
  logEvents(events, { debug: add, info: add, warn: add, error: add });
  const fail = (part: string) => events.emit("trouble", { part, error: new Error("broken") });
  for (let second = 0; second < 21; second++) {
    fail("claims");
    vi.advanceTimersByTime(1_000);
  }
  fail("results");
  expect(lines).toEqual([
    ["claims", 1],
    ["claims", 10],
    ["claims", 10],
    ["results", 1],
  ]);
  events.emit("recovered", { part: "claims", failures: 21 });
  fail("claims");
  expect(lines.slice(4)).toEqual([
    ["claims", 21],
    ["claims", 1],
  ]);
});
