import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failure } from "../../mesh/errors.ts";
import { everySecond, openBench, type SchedulerBench } from "../testing/bench.ts";
import { copyJob } from "../testing/copy-job.ts";
import { createPassSize } from "./pass-size.ts";
import { createTick } from "./tick.ts";

const LIMIT_MS = 1_000;
const away = () => failure("SERVICE_UNAVAILABLE", { service: "dispatcher" });

describe("the size of a pass", () => {
  let nowMs = 0;
  const make = () => createPassSize(LIMIT_MS, () => nowMs);
  /** A hand-over that takes this long. */
  const taking = (ms: number) => async () => {
    nowMs += ms;
  };
  const failingAfter = (ms: number) => async () => {
    nowMs += ms;
    throw away();
  };

  test("is halved after a slow hand-over and quartered after one that was slow and failed", async () => {
    const size = make();
    await size.measure(1_000, taking(501));
    expect(size.maxEvents).toBe(500);
    await expect(size.measure(500, failingAfter(1_000))).rejects.toThrow();
    expect(size.maxEvents).toBe(125);
  });

  test("is doubled after a quick hand-over that was at least half as large as allowed", async () => {
    const size = make();
    await size.measure(1_000, taking(501));
    await size.measure(249, taking(1));
    await size.measure(250, taking(251));
    expect(size.maxEvents).toBe(500);
    await size.measure(250, taking(249));
    expect(size.maxEvents).toBe(1_000);
  });

  test("stays when a hand-over fails at once", async () => {
    const size = make();
    await expect(size.measure(1_000, failingAfter(1))).rejects.toThrow();
    expect(size.maxEvents).toBe(5_000);
  });

  test("is never below 20 and never above 5,000 events", async () => {
    const size = make();
    for (let pass = 0; pass < 10; pass++)
      await expect(size.measure(size.maxEvents, failingAfter(1_000))).rejects.toThrow();
    expect(size.maxEvents).toBe(20);
    for (let pass = 0; pass < 10; pass++) await size.measure(size.maxEvents, taking(1));
    expect(size.maxEvents).toBe(5_000);
  });
});

describe("ticks that hand over to a single slow dispatcher", () => {
  const START = Date.UTC(2026, 0, 1);
  const JOBS = 100;
  /** A third of the look-ahead is the time limit of a hand-over. */
  const LOOK_AHEAD_MS = 300;
  const EVENT_MS = 3;

  let bench: SchedulerBench;
  let admin: pg.Client;
  beforeEach(async () => {
    bench = await openBench(START);
    admin = new pg.Client({ connectionString: bench.adminUrl });
    await admin.connect();
  });
  afterEach(async () => {
    await admin.end();
    await bench.close();
  });

  /** A tick whose dispatcher takes 3 ms for each event, and records nothing of a batch that takes longer than 100 ms. */
  const slowTick = () =>
    createTick({
      ...bench.parts,
      lookAheadMs: LOOK_AHEAD_MS,
      handOver: {
        ...bench.parts.handOver,
        send: async (events) => {
          const neededMs = events.length * EVENT_MS;
          await new Promise((resolve) => setTimeout(resolve, Math.min(neededMs, LOOK_AHEAD_MS / 3)));
          if (neededMs > LOOK_AHEAD_MS / 3) throw away();
          return bench.parts.handOver.send(events);
        },
      },
      onTrouble: (_, error) => {
        throw error;
      },
    });

  const recorded = async (): Promise<number> => {
    const { rows } = await admin.query(
      "select count(distinct job_uid)::integer as jobs from dispatcher.triggers",
    );
    return Number(rows[0]?.jobs);
  };

  test.each([
    ["jobs on time", 1_000],
    ["late jobs", 10_000],
  ])("make progress with %s", async (_, afterMs) => {
    const { uid } = await bench.createJob(everySecond("job"));
    await copyJob(admin, uid, JOBS - 1);
    bench.setTime(START + afterMs);
    const tick = slowTick();
    let failures = 0;
    for (let jobs = 0; jobs < JOBS; jobs = await recorded()) {
      await tick.run().catch(() => {
        failures += 1;
      });
    }
    expect(failures).toBeLessThan(8);
  });
});
