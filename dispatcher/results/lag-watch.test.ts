import { expect, test } from "vitest";
import { createEvents } from "../events/events.ts";
import { createLagWatch } from "./lag-watch.ts";

test("the lag watch emits `lagging` when results wait for more than a second: at once, then every ten seconds", () => {
  let now = 0;
  const results = { lagMs: 0, size: 0 };
  const events = createEvents();
  const emitted: object[] = [];
  events.on("lagging", (fields) => emitted.push({ now, ...fields }));
  const check = createLagWatch({ results, events, elapsedMs: () => now });
  check();
  Object.assign(results, { lagMs: 1_000, size: 7 });
  check();
  expect(emitted).toEqual([]);
  results.lagMs = 1_000.6;
  for (; now < 20_000; now += 500) check();
  expect(emitted).toEqual([
    { now: 0, lagMs: 1_001, waiting: 7 },
    { now: 10_000, lagMs: 1_001, waiting: 7 },
  ]);
});
