import { expect, test } from "vitest";
import { createEvents } from "../events/events.ts";
import { type HeldTrigger, toHeldTrigger } from "../waiting/held-trigger.ts";
import { createPutBack } from "./put-back.ts";

const trigger = toHeldTrigger({
  id: "trg_1",
  fire_time: 0,
  effective_time: 0,
  due_time: 0,
  project_id: "proj_1",
  job_uid: "job_1",
  job_name: "job",
  revision: 1,
  kind: "SCHEDULED",
  seq: 1,
  previous_fire_time: null,
  next_fire_time: null,
  previous_skipped: 0,
  previous_missed: 0,
  payload: null,
  attempt_count: 0,
  attempt_base: 0,
});

test("a trigger whose row stays locked is tried again and again, and reported after about ten seconds", () => {
  let nowMs = 0;
  const events = createEvents();
  const troubles: number[] = [];
  events.on("trouble", ({ error }) => {
    expect(String(error)).toContain("trg_1");
    troubles.push(nowMs);
  });
  const pauses: number[] = [];
  const putBack = createPutBack({
    clock: { now: () => nowMs },
    random: () => 0.5,
    events,
    setAside: { put: async () => new Map(), remove: () => {}, removeOld: async () => {} },
    waitUntil: (_: HeldTrigger, dueMs: number) => {
      pauses.push(dueMs - nowMs);
      nowMs = dueMs;
    },
  });
  for (let n = 0; n < 20; n++) putBack.postpone(trigger, 0);
  expect(pauses.slice(0, 7)).toEqual([50, 100, 200, 400, 800, 1_000, 1_000]);
  expect(pauses.at(-1)).toBe(1_000);
  expect(troubles[0]).toBeGreaterThan(9_000);
  expect(troubles[0]).toBeLessThan(12_000);
  expect(troubles).toHaveLength(6);
  putBack.handled([trigger]);
  putBack.postpone(trigger, 0);
  expect(troubles).toHaveLength(6);
});
