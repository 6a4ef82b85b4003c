import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pause } from "../../mesh/pause.ts";
import { triggerId } from "../../sdk/index.ts";
import { hasRedis, startTestRedis, type TestRedis } from "../support/redis.ts";
import { type FaultScene, nextSecond, openFaultScene } from "./scene.ts";

/** Jobs of the troubled project that share a flow key. Each fires once a second. */
const JOBS = 12;
const MAX_IN_FLIGHT = 4;
const DISPATCHERS = 2;
const ANSWER_MS = 150;
const FAULT_MS = 3_000;
/** Redis is used again after this time, and the limit then holds for all dispatchers. */
const BACK_MS = 3_000;
const AFTER_MS = 3_000;
/** Within this time every process has its own limits: a second, and room for a busy machine. */
const NOTICED_MS = 2_000;
/** How late a trigger with a flow key may be: it waits for its turn, and once for Redis. */
const WORST_FLOW_MS = 4_000;
const PROCESSES = ["dispatcher-0", "dispatcher-1", "scheduler-0"];
const AWAY = "degraded: the internal Redis cannot be used; each process has its own limits until it can";
const BACK = "the internal Redis is used again; limits are shared by all processes";

let redis: TestRedis;
let admin: Redis;
let scene: FaultScene;
let jobs: readonly string[] = [];
/** How many attempts with the flow key were in flight at each arrival. */
const inFlight: { readonly atMs: number; readonly count: number }[] = [];

beforeAll(async () => {
  if (!hasRedis()) return;
  redis = await startTestRedis();
  admin = new Redis(redis.url, { protocol: 2 });
  admin.on("error", () => {});
  scene = await openFaultScene({ dispatchers: DISPATCHERS, env: { REDIS_URL: redis.url } });
});

afterAll(async () => {
  await scene?.[Symbol.asyncDispose]();
  admin?.disconnect();
  await redis?.stop();
});

/** Creates the jobs with the flow key. */
async function createFlowJobs(): Promise<readonly string[]> {
  const { receiver, client } = scene.troubled;
  let count = 0;
  receiver.answer("/flow", async () => {
    count += 1;
    inFlight.push({ atMs: Date.now(), count });
    await pause(ANSWER_MS);
    count -= 1;
    return { status: 200 };
  });
  const requests = Array.from({ length: JOBS }, (_, index) => ({
    job: {
      name: `flow-${index}`,
      flow: { key: "crm", maxInFlight: MAX_IN_FLIGHT },
      schedules: [
        { kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 as const } } },
      ],
      target: { kind: { case: "webhook" as const, value: { url: `${receiver.url}/flow` } } },
    },
  }));
  const created = await client.raw.jobs.batchCreateJobs({ requests });
  await receiver.waitFor((all) => all.length > 0);
  return created.jobs.map(({ uid }) => uid);
}

const mostInFlight = (startMs: number, endMs: number) =>
  Math.max(0, ...inFlight.filter(({ atMs }) => atMs >= startMs && atMs < endMs).map(({ count }) => count));

/** Waits for every trigger of the flow jobs in a span of whole seconds, and returns how late the last one was. */
async function worstOfFlow(startMs: number, endMs: number): Promise<number> {
  const { receiver } = scene.troubled;
  const missing = new Set<string>();
  for (const jobUid of jobs) {
    for (let at = startMs; at < endMs; at += 1_000)
      missing.add(triggerId({ jobUid, nominalTime: new Date(at) }));
  }
  let worstMs = 0;
  let read = 0;
  await receiver.waitFor(
    (all) => {
      for (; read < all.length; read++) {
        const request = all[read];
        if (request === undefined || !missing.delete(request.id)) continue;
        worstMs = Math.max(worstMs, request.arrivedMs - request.nominalMs);
      }
      return missing.size === 0;
    },
    60_000 + Math.max(0, endMs - Date.now()),
  );
  return worstMs;
}

/** How often a process has logged a message. */
const countLines = (process: string, message: string) =>
  readFileSync(join(scene.mesh.logFolder, `${process}.log`), "utf8").split(`"${message}"`).length - 1;

const countEach = (message: string) => PROCESSES.map((process) => countLines(process, message));

interface Fault {
  readonly name: string;
  readonly begin: () => unknown;
  readonly end: () => unknown;
}

const FAULTS: readonly Fault[] = [
  { name: "is killed with -9", begin: () => redis.kill9(), end: () => redis.start() },
  {
    name: "stands still (SIGSTOP)",
    begin: () => process.kill(redis.pid, "SIGSTOP"),
    end: () => process.kill(redis.pid, "SIGCONT"),
  },
  {
    name: "becomes a replica, which can only be read",
    begin: () => admin.replicaof("127.0.0.1", 1),
    end: () => admin.replicaof("NO", "ONE"),
  },
  {
    name: "has no memory (noeviction)",
    begin: () => admin.config("SET", "maxmemory", "1"),
    end: () => admin.config("SET", "maxmemory", "0"),
  },
  {
    name: "pauses its clients",
    begin: () => admin.client("PAUSE", 60_000, "WRITE"),
    end: () => admin.client("UNPAUSE"),
  },
];

describe.runIf(hasRedis())("the internal Redis", () => {
  test("gets nothing of triggers without a flow key", async () => {
    const monitor = await admin.monitor();
    const others: string[] = [];
    let looks = 0;
    monitor.on("monitor", (_: string, args: string[]) => {
      const text = args.join(" ");
      if (text.includes("easycron:look:")) looks += 1;
      else if (!text.includes("easycron:leader:")) others.push(text);
    });
    const startMs = nextSecond();
    await scene.healthy.between(startMs, startMs + 3_000);
    monitor.disconnect();
    expect(looks).toBeGreaterThan(0);
    expect(others).toEqual([]);
  });

  test("makes the limit of a flow key hold for all dispatchers together", async () => {
    jobs = await createFlowJobs();
    const startMs = nextSecond(1_000);
    const worstMs = await worstOfFlow(startMs, startMs + AFTER_MS);
    console.log(
      `with the internal Redis: ${mostInFlight(startMs, Date.now())} in flight, worst ${worstMs} ms`,
    );
    expect(mostInFlight(startMs, Date.now())).toBe(MAX_IN_FLIGHT);
  });

  test.each(FAULTS)("$name: triggers go on with limits per process, and share them again", async (fault) => {
    const { name, begin, end } = fault;
    const [away, back] = [countEach(AWAY), countEach(BACK)];
    const startMs = nextSecond(500);
    await pause(startMs - 500 - Date.now());
    const beganMs = performance.now();
    await begin();
    await expect
      .poll(() => countEach(AWAY), { timeout: 10_000, interval: 50 })
      .toEqual(away.map((n) => n + 1));
    const noticedMs = Math.round(performance.now() - beganMs);
    await pause(startMs + FAULT_MS - Date.now());
    const mostMeanwhile = mostInFlight(startMs, startMs + FAULT_MS);
    await end();
    await expect
      .poll(() => countEach(BACK), { timeout: 15_000, interval: 50 })
      .toEqual(back.map((n) => n + 1));
    const backMs = nextSecond(BACK_MS);
    const worstFlowMs = await worstOfFlow(startMs, backMs + AFTER_MS);
    const mostAfterwards = mostInFlight(backMs, backMs + AFTER_MS);
    const healthy = await scene.healthy.between(startMs, backMs + AFTER_MS);
    console.log(
      `${name}: ${JSON.stringify({ noticedMs, mostMeanwhile, mostAfterwards, worstFlowMs, healthy })}`,
    );
    expect(healthy).toMatchObject({ repeated: 0 });
    expect(healthy.worstMs).toBeLessThan(1_000);
    expect(worstFlowMs).toBeLessThan(WORST_FLOW_MS);
    expect(noticedMs).toBeLessThan(NOTICED_MS);
    expect(mostMeanwhile).toBeGreaterThan(MAX_IN_FLIGHT);
    expect(mostMeanwhile).toBeLessThanOrEqual(DISPATCHERS * MAX_IN_FLIGHT);
    expect(mostAfterwards).toBe(MAX_IN_FLIGHT);
    // Once each way, and no service has stopped serving.
    expect(countEach(AWAY)).toEqual(away.map((n) => n + 1));
    expect(countEach(BACK)).toEqual(back.map((n) => n + 1));
    expect(scene.mesh.output.filter((line) => line.includes("not serving"))).toEqual([]);
  });

  test("that loses all its data and scripts is told again what is held", async () => {
    const [away, startMs] = [countEach(AWAY), nextSecond()];
    await pause(startMs + 200 - Date.now());
    await admin.flushall();
    await admin.script("FLUSH");
    const afterMs = nextSecond(BACK_MS);
    const worstMs = await worstOfFlow(startMs, afterMs + AFTER_MS);
    const healthy = await scene.healthy.between(startMs, afterMs + AFTER_MS);
    console.log(`FLUSHALL: worst ${worstMs} ms; ${JSON.stringify(healthy)}`);
    expect(healthy.worstMs).toBeLessThan(1_000);
    expect(worstMs).toBeLessThan(WORST_FLOW_MS);
    expect(mostInFlight(startMs, afterMs)).toBeLessThanOrEqual(DISPATCHERS * MAX_IN_FLIGHT);
    expect(mostInFlight(afterMs, afterMs + AFTER_MS)).toBe(MAX_IN_FLIGHT);
    expect(countEach(AWAY)).toEqual(away);
  });
});
