import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { type InternalRedis, openInternalRedis } from "./internal-redis.ts";
import { createLeadership, everyProcessLeads, ifLeader, type Leadership } from "./leadership.ts";

const LOCK = "easycron:leader:dispatcher";
// A process that stands still for most of this time loses the leadership.
const LEADER_MS = 3_000;
const silent = { info: () => {}, warn: () => {} };

let server: TestRedis;
let admin: Redis;
let connections: InternalRedis[];
let leaderships: Leadership[];
/** What the processes know of the time. */
let nowMs: number;

/** A process of the service, with a connection of its own. */
function createProcess(): { redis: InternalRedis; leadership: Leadership } {
  let minutes = 0;
  const elapsedMs = () => 60_000 * minutes++;
  const redis = openInternalRedis({ url: server.url, service: "dispatcher", logger: silent, elapsedMs });
  const leadership = createLeadership(redis, "dispatcher", { leaderMs: LEADER_MS, elapsedMs: () => nowMs });
  connections.push(redis);
  leaderships.push(leadership);
  return { redis, leadership };
}

const leadersOf = async (...processes: { leadership: Leadership }[]) => {
  const answers = await Promise.all(processes.map(({ leadership }) => leadership.leads()));
  return answers.filter((leads) => leads).length;
};

beforeAll(async () => {
  if (hasRedis()) server = await startTestRedis();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  [connections, leaderships] = [[], []];
  nowMs = 0;
  if (!hasRedis()) return;
  admin = new Redis(server.url, { protocol: 2 });
  admin.on("error", () => {});
  await admin.del(LOCK);
});
afterEach(async () => {
  await Promise.all(leaderships.map((leadership) => leadership.close()));
  for (const redis of connections) redis.close();
  admin?.disconnect();
});

describe.runIf(hasRedis())("the leadership", () => {
  test("is with one of several processes, for as long as it lives", async () => {
    const processes = [createProcess(), createProcess(), createProcess()];
    expect(await leadersOf(...processes)).toBe(1);
    // Redis tells what happens to the lock. It is renewed three times in the time for which it lives.
    await admin.config("SET", "notify-keyspace-events", "KA");
    const listener = admin.duplicate();
    const seen: string[] = [];
    const renewed = Promise.withResolvers<void>();
    listener.on("message", (_, happened: string) => {
      if (seen.push(happened) === 5) renewed.resolve();
    });
    await listener.subscribe(`__keyspace@0__:${LOCK}`);
    await renewed.promise.finally(() => listener.disconnect());
    expect(new Set(seen)).toEqual(new Set(["expire"]));
    expect(await leadersOf(...processes)).toBe(1);
  });

  test("goes to another process at once when the leader stops, and after its time when it was killed", async () => {
    const [a, b, c] = [createProcess(), createProcess(), createProcess()];
    expect([await a.leadership.leads(), await b.leadership.leads()]).toEqual([true, false]);
    await a.leadership.close();
    expect(await b.leadership.leads()).toBe(true);
    b.redis.close();
    expect(await c.leadership.leads()).toBe(false);
    await expect.poll(() => c.leadership.leads(), { timeout: 5 * LEADER_MS }).toBe(true);
  });

  test("is given up when the work of the leader fails, and not taken again for its time", async () => {
    const [a, b] = [createProcess(), createProcess()];
    const fail = ifLeader(a.leadership, () => Promise.reject(new Error("The disk is full.")));
    await expect(fail()).rejects.toThrow("The disk is full.");
    expect(await a.leadership.leads()).toBe(false);
    expect(a.leadership.isResting()).toBe(true);
    expect(await b.leadership.leads()).toBe(true);
    await b.leadership.close();
    nowMs += LEADER_MS - 1;
    expect(await a.leadership.leads()).toBe(false);
    nowMs += 1;
    expect(await a.leadership.leads()).toBe(true);
  });

  test("is not taken from the new leader by one that lost it", async () => {
    const [a, b] = [createProcess(), createProcess()];
    expect(await a.leadership.leads()).toBe(true);
    await admin.del(LOCK);
    expect(await b.leadership.leads()).toBe(true);
    const leader = await admin.get(LOCK);
    await a.leadership.close();
    expect(await admin.get(LOCK)).toBe(leader);
    expect(await b.leadership.leads()).toBe(true);
  });

  test("is with every process while Redis is away, and then with one again", async () => {
    const processes = [createProcess(), createProcess()];
    expect(await leadersOf(...processes)).toBe(1);
    await server.kill9();
    await expect.poll(() => processes.some(({ redis }) => redis.isUp())).toBe(false);
    expect(await leadersOf(...processes)).toBe(2);
    await server.start();
    await expect.poll(() => processes.every(({ redis }) => redis.isUp())).toBe(true);
    expect(await leadersOf(...processes)).toBe(1);
  });
});

describe("work for the leader", () => {
  test("is done by every process without an internal Redis", async () => {
    const work = ifLeader(everyProcessLeads, async () => ({ more: true }));
    expect(await work()).toEqual({ more: true });
  });

  test("is left out by the others, which ask again soon", async () => {
    let done = 0;
    const work = ifLeader({ ...everyProcessLeads, leads: async () => false }, async () => {
      done += 1;
      return { more: true };
    });
    expect(await work()).toEqual({ more: false, againMs: 15_000, isIdle: false });
    expect(done).toBe(0);
  });

  test("is idle after it has failed, until this process leads again and succeeds, or another one leads", async () => {
    let leads = true;
    let isResting = false;
    let isBroken = true;
    const giveUp = async () => {
      [leads, isResting] = [false, true];
    };
    const leadership = { leads: async () => leads, giveUp, isResting: () => isResting };
    const work = ifLeader(leadership, async () => {
      if (isBroken) throw new Error("The disk is full.");
      return { more: false };
    });
    await expect(work()).rejects.toThrow("The disk is full.");
    expect(await work()).toMatchObject({ isIdle: true });
    [leads, isResting] = [true, false];
    await expect(work()).rejects.toThrow("The disk is full.");
    isResting = false;
    expect(await work()).toMatchObject({ isIdle: false });
    [leads, isBroken] = [true, false];
    expect(await work()).toEqual({ more: false });
    leads = false;
    expect(await work()).toMatchObject({ isIdle: false });
  });
});
