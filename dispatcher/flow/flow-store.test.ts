import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InternalRedis, openInternalRedis } from "../../db/internal-redis/internal-redis.ts";
import { createLeadership } from "../../db/internal-redis/leadership.ts";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { BURST_MS, type FlowAnswer, type FlowLimits, type FlowStore, PLACE_LEASE_MS } from "./flow-store.ts";
import { createLocalFlowStore } from "./local-flow-store.ts";
import { createRedisFlowStore } from "./redis-flow-store.ts";

const NONE: FlowLimits = { maxInFlight: undefined, ratePerSecond: undefined };
const silent = { info: () => {}, warn: () => {} };

let server: TestRedis;
let redis: InternalRedis;
let admin: Redis;

beforeAll(async () => {
  if (!hasRedis()) return;
  server = await startTestRedis();
  redis = openInternalRedis({ url: server.url, service: "test", logger: silent });
  await redis.untilKnown();
  admin = new Redis(server.url, { protocol: 2 });
});

afterAll(async () => {
  redis?.close();
  admin?.disconnect();
  await server?.stop();
});

let keys = 0;
/** Returns a key that no other test has used. */
const newKey = () => `proj_1 key ${keys++}`;

async function take(
  store: FlowStore,
  key: string,
  limits: Partial<FlowLimits>,
  wanted = 1,
): Promise<FlowAnswer> {
  const [answer] = await store.take([{ key, limits: { ...NONE, ...limits }, wanted }]);
  if (answer === undefined) throw new Error("the store gave no answer");
  return answer;
}

const STORES = [
  { name: "one process", isRun: true, create: (nowMs: () => number) => createLocalFlowStore(nowMs) },
  {
    name: "Redis",
    isRun: hasRedis(),
    create: (nowMs: () => number) => createRedisFlowStore({ redis, nowMs }),
  },
];

describe.each(STORES)("the flow store of $name", ({ isRun, create }) => {
  test.runIf(isRun)("grants as many places as a key has, and again those that are released", async () => {
    const [store, key] = [create(() => 1_000), newKey()];
    expect(await take(store, key, { maxInFlight: 3 }, 5)).toEqual({ granted: 3, againMs: 1_000 });
    expect((await take(store, key, { maxInFlight: 3 })).granted).toBe(0);
    expect((await take(store, newKey(), { maxInFlight: 3 }, 5)).granted).toBe(3);
    store.release([{ key, count: 2 }]);
    expect((await take(store, key, { maxInFlight: 3 }, 5)).granted).toBe(2);
    await store.close();
  });

  test.runIf(isRun)(
    "counts what all jobs of a key hold, and applies the limit of the one that asks",
    async () => {
      const [store, key] = [create(() => 1_000), newKey()];
      expect((await take(store, key, {}, 4)).granted).toBe(4);
      expect((await take(store, key, { maxInFlight: 3 })).granted).toBe(0);
      expect((await take(store, key, { maxInFlight: 6 }, 5)).granted).toBe(2);
      await store.close();
    },
  );

  test.runIf(isRun)("answers several requests for one key in their order", async () => {
    const [store, key, other] = [create(() => 1_000), newKey(), newKey()];
    const request = { key, limits: { maxInFlight: 3, ratePerSecond: undefined }, wanted: 2 };
    const answers = await store.take([request, { ...request, key: other }, request, request]);
    expect(answers.map(({ granted }) => granted)).toEqual([2, 2, 1, 0]);
    await store.close();
  });

  test.runIf(isRun)("spaces starts evenly, also at less than one per second", async () => {
    let now = 1_000;
    const [store, key] = [create(() => now), newKey()];
    expect(await take(store, key, { ratePerSecond: 0.2 }, 9)).toEqual({ granted: 1, againMs: 5_000 });
    now += 4_999;
    expect(await take(store, key, { ratePerSecond: 0.2 })).toEqual({ granted: 0, againMs: 1 });
    now += 1;
    expect((await take(store, key, { ratePerSecond: 0.2 })).granted).toBe(1);
    await store.close();
  });

  test.runIf(isRun)(
    "lets a key that was idle use a tenth of a second's rate at once, and no more",
    async () => {
      let now = 1_000;
      const [store, key] = [create(() => now), newKey()];
      expect(await take(store, key, { ratePerSecond: 1_000 }, 500)).toEqual({ granted: 101, againMs: 1 });
      now += 60_000;
      expect((await take(store, key, { ratePerSecond: 1_000 }, 500)).granted).toBe(101);
      await store.close();
    },
  );

  test.runIf(isRun)("never exceeds the rate in any span of time, nor the places", async () => {
    const step = fc.record({
      waitMs: fc.nat(400),
      wanted: fc.integer({ min: 1, max: 30 }),
      released: fc.nat(30),
    });
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 40 }),
      fc.constantFrom(0.5, 3, 7, 10, 64, 1_000),
      fc.integer({ min: 1, max: 20 }),
      async (steps, ratePerSecond, maxInFlight) => {
        let now = 1_000;
        let held = 0;
        const starts: number[] = [];
        const [store, key] = [create(() => now), newKey()];
        for (const { waitMs, wanted, released } of steps) {
          now += waitMs;
          const given = Math.min(held, released);
          store.release([{ key, count: given }]);
          held -= given;
          const { granted } = await take(store, key, { ratePerSecond, maxInFlight }, wanted);
          held += granted;
          expect(held).toBeLessThanOrEqual(maxInFlight);
          for (let each = 0; each < granted; each++) starts.push(now);
        }
        await store.close();
        for (let first = 0; first < starts.length; first++) {
          for (let last = first; last < starts.length; last++) {
            const spanMs = (starts[last] ?? 0) - (starts[first] ?? 0);
            const most = Math.floor((ratePerSecond * (spanMs + BURST_MS)) / 1_000 + 1e-3) + 1;
            expect(last - first + 1).toBeLessThanOrEqual(most);
          }
        }
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });
});

describe.runIf(hasRedis())("flow stores with one Redis", () => {
  test("share the places of a key, and say when to ask again for one that another process holds", async () => {
    const key = newKey();
    const [a, b] = [createRedisFlowStore({ redis }), createRedisFlowStore({ redis })];
    expect((await take(a, key, { maxInFlight: 3 }, 2)).granted).toBe(2);
    expect(await take(b, key, { maxInFlight: 3 }, 5)).toEqual({ granted: 1, againMs: 100 });
    a.release([{ key, count: 1 }]);
    await expect.poll(async () => (await take(b, key, { maxInFlight: 3 }, 5)).granted).toBe(1);
    await a.close();
    expect((await take(b, key, { maxInFlight: 3 }, 5)).granted).toBe(1);
    await b.close();
    expect(await admin.hgetall(`easycron:flow:{proj_1}:${key.slice(7)}`)).toEqual({});
  });

  test("share the rate of a key", async () => {
    let now = 1_000;
    const key = newKey();
    const stores = [1, 2, 3].map(() => createRedisFlowStore({ redis, nowMs: () => now }));
    let granted = 0;
    for (; now < 11_000; now += 50) {
      for (const store of stores) {
        const answer = await take(store, key, { ratePerSecond: 5 }, 4);
        granted += answer.granted;
      }
    }
    expect(granted).toBe(50);
    await Promise.all(stores.map((store) => store.close()));
  });

  test("get the places of a process that was killed after its lease, and not of one that lives", async () => {
    let now = 1_000;
    const key = newKey();
    const [killed, other] = [
      createRedisFlowStore({ redis, nowMs: () => 1_000 }),
      createRedisFlowStore({ redis, nowMs: () => now }),
    ];
    await take(killed, key, { maxInFlight: 2 }, 1);
    await take(other, key, { maxInFlight: 2 }, 1);
    now += PLACE_LEASE_MS - 1;
    expect((await take(other, key, { maxInFlight: 2 })).granted).toBe(0);
    now += 1;
    expect((await take(other, key, { maxInFlight: 2 }, 5)).granted).toBe(1);
    await Promise.all([killed.close(), other.close()]);
  });

  test("tell Redis again what they hold when its data were removed", async () => {
    const key = newKey();
    const [a, b] = [createRedisFlowStore({ redis }), createRedisFlowStore({ redis })];
    await take(a, key, { maxInFlight: 2 }, 2);
    await admin.flushall();
    await admin.script("FLUSH");
    const limit = { timeout: PLACE_LEASE_MS };
    await expect.poll(() => admin.exists(`easycron:flow:{proj_1}:${key.slice(7)}`), limit).toBe(1);
    expect((await take(b, key, { maxInFlight: 2 })).granted).toBe(0);
    await Promise.all([a.close(), b.close()]);
  });

  test("go on with limits of their own while Redis is away, and share them again when it is back", async () => {
    const [key, limits] = [newKey(), { maxInFlight: 3 }];
    const [a, b] = [createRedisFlowStore({ redis }), createRedisFlowStore({ redis })];
    expect((await take(a, key, limits, 1)).granted).toBe(1);
    expect((await take(b, key, limits, 9)).granted).toBe(2);
    process.kill(server.pid, "SIGSTOP");
    // The places of each count towards its own limit: this is one more of 3, and two of 3.
    expect((await take(a, key, limits, 9)).granted).toBe(2);
    expect((await take(b, key, limits, 9)).granted).toBe(1);
    b.release([{ key, count: 2 }]);
    a.release([{ key, count: 3 }]);
    process.kill(server.pid, "SIGCONT");
    await expect.poll(() => redis.isUp(), { timeout: 10_000 }).toBe(true);
    // One process holds one place of the three.
    await expect.poll(async () => (await take(a, key, limits, 9)).granted, { timeout: 5_000 }).toBe(2);
    expect((await take(b, key, limits, 9)).granted).toBe(0);
    await Promise.all([a.close(), b.close()]);
  });

  test("work with the rights that docs/operations.md names", async () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
    const rule = /limited rights: `(~easycron:\* .*?)`/.exec(page)?.[1]?.split(" ") ?? [];
    await admin.acl("SETUSER", "limited", "reset", "on", ">limited-secret", ...rule);
    const url = new URL(server.url);
    [url.username, url.password] = ["limited", "limited-secret"];
    const lines: string[] = [];
    const log = (_: object, message: string) => lines.push(message);
    const own = openInternalRedis({ url: url.href, service: "test", logger: { info: log, warn: log } });
    const leadership = createLeadership(own, "limited");
    expect(await leadership.leads()).toBe(true);
    const [store, key] = [createRedisFlowStore({ redis: own }), newKey()];
    for (let twice = 0; twice < 2; twice++) {
      expect((await take(store, key, { maxInFlight: 1, ratePerSecond: 1_000 }, 2)).granted).toBe(1);
      store.release([{ key, count: 1 }]);
    }
    await Promise.all([store.close(), leadership.close()]);
    expect(await admin.keys("easycron:leader:limited")).toEqual([]);
    expect(lines).toEqual(["using the internal Redis"]);
    own.close();
  });

  test("go on when the server's clock was set back by an hour", async () => {
    let now = 7_200_000;
    const key = newKey();
    const store = createRedisFlowStore({ redis, nowMs: () => now });
    expect((await take(store, key, { ratePerSecond: 10 })).granted).toBe(1);
    now -= 3_600_000;
    expect((await take(store, key, { ratePerSecond: 10 })).granted).toBe(1);
    expect((await take(store, key, { ratePerSecond: 10 })).granted).toBe(1);
    expect((await take(store, key, { ratePerSecond: 10 })).granted).toBe(0);
    await store.close();
  });

  test("leave no key behind that does not end by itself", async () => {
    const key = newKey();
    const store = createRedisFlowStore({ redis });
    await take(store, key, { maxInFlight: 2, ratePerSecond: 0.001 });
    const ttlMs = await admin.pttl(`easycron:flow:{proj_1}:${key.slice(7)}`);
    expect(ttlMs).toBeGreaterThan(999_000);
    expect(ttlMs).toBeLessThan(1_010_000);
    await store.close();
    for (const name of await admin.keys("*")) expect(await admin.pttl(name)).toBeGreaterThan(0);
  });
});
