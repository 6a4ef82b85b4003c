import pg from "pg";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Database } from "../../db/pool.ts";
import { failure } from "../../mesh/errors.ts";
import { createEvents } from "../events/events.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Result } from "./result.ts";
import { createResults } from "./results.ts";

function timeout(): Error {
  const cause = new pg.DatabaseError("canceling statement due to statement timeout", 0, "error");
  cause.code = "57014";
  return failure("SERVICE_UNAVAILABLE", { service: "database" }, { cause });
}

function resultOf(id: string): Result {
  const trigger = { id, fireTimeMs: 0, attemptCount: 1, attemptBase: 0 } as HeldTrigger;
  const outcome = { kind: "SUCCEEDED", statusCode: 204 } as const;
  const times = { startTimeMs: 0, endTimeMs: 0, durationMs: 0 };
  const delivery = { outcome, error: "", responseBody: "" };
  return {
    trigger,
    attemptId: id,
    number: 1,
    ...times,
    delivery,
    next: { state: "SUCCEEDED" },
    owner: null,
  };
}

/** Results with a database that answers a statement of so many results as `answer` does. */
function createGround(answer: (length: number) => Promise<void>) {
  let nowMs = 0;
  const lengths: number[] = [];
  const recorded: string[] = [];
  const changed: string[] = [];
  const events = createEvents();
  events.on("changed", ({ states }) => changed.push(...states.keys()));
  const database = {
    query: async (_: unknown, values: readonly unknown[]) => {
      const own = String(values[0]).slice(1, -1).split(",");
      lengths.push(own.length);
      await answer(own.length);
      return own.map((id) => ({ id, state: "SUCCEEDED" }));
    },
  } as unknown as Database;
  const results = createResults({
    database,
    events,
    setAside: { put: async () => new Map(), remove: () => {}, removeOld: async () => {} },
    random: () => 0.5,
    isBusy: () => false,
    onRecorded: ({ trigger }) => recorded.push(trigger.id),
    elapsedMs: () => nowMs,
  });
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { results, lengths, recorded, changed, pass };
}

const ids = (count: number) => Array.from({ length: count }, (_, index) => `trg_${index}`);

afterEach(() => {
  vi.useRealTimers();
});

describe("results", () => {
  test("wait 10 ms for others, and 25 ms when the statement before had four or more", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { results, lengths } = createGround(async () => {});
    let added = 0;
    const addAndPass = async (count: number, ms: number) => {
      for (let index = 0; index < count; index++) results.add(resultOf(`trg_${added++}`));
      await vi.advanceTimersByTimeAsync(ms);
    };
    await addAndPass(3, 9);
    expect(lengths).toEqual([]);
    await addAndPass(1, 1);
    expect(lengths).toEqual([4]);
    await addAndPass(1, 24);
    expect(lengths).toEqual([4]);
    await addAndPass(1, 1);
    expect(lengths).toEqual([4, 2]);
    await addAndPass(1, 10);
    expect(lengths).toEqual([4, 2, 1]);
  });

  test("that take the database too long are recorded in halves, each result once", async () => {
    const { results, lengths, recorded, changed } = createGround(async (length) => {
      if (length > 250) throw timeout();
    });
    for (const id of ids(1_600)) results.add(resultOf(id));
    await results.close(5_000);
    expect(recorded).toEqual(ids(1_600));
    expect(changed).toEqual(ids(1_600));
    // The length doubles as soon as a statement of the current length has succeeded.
    expect(lengths).toEqual([1_000, 500, 250, 250, 500, 250, 250, 500, 250, 250, 100]);
  });

  test("report how long the oldest of them has waited, until it is durable", async () => {
    const writes: (() => void)[] = [];
    const { results, pass } = createGround(() => new Promise((resolve) => writes.push(resolve)));
    expect(results.lagMs).toBe(0);
    results.add(resultOf("trg_first"));
    await expect.poll(() => writes.length).toBe(1);
    pass(700);
    results.add(resultOf("trg_second"));
    pass(500);
    expect(results.lagMs).toBe(1_200);
    writes.shift()?.();
    await expect.poll(() => writes.length).toBe(1);
    expect(results.lagMs).toBe(500);
    writes.shift()?.();
    await expect.poll(() => results.lagMs).toBe(0);
    await results.close(0);
  });
});
