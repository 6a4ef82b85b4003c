import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { startTcpProxy, type TcpProxy } from "../../test/support/tcp-proxy.ts";
import { readServerFacts } from "./check-server.ts";
import { type InternalRedis, openInternalRedis } from "./internal-redis.ts";
import { script } from "./script.ts";

const ADD = script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
const AWAY = "degraded: the internal Redis cannot be used; each process has its own limits until it can";
const BACK = "the internal Redis is used again; limits are shared by all processes";

// Both are noticed within a second, and here within three. A machine that does much else needs longer.
const WITHIN_MS = { timeout: 5_000, interval: 20 };
const BACK_WITHIN_MS = { timeout: 10_000, interval: 20 };

let server: TestRedis;
let admin: Redis;
let proxy: TcpProxy;
let redis: InternalRedis;
let lines: string[];

// A server without CPU time for a moment is not away. The limit of 400 ms would write a pair of lines about it.
const answerLimitMs = 2_000;

const open = (url: string, elapsedMs?: () => number) => {
  const log = (_: object, message: string) => lines.push(message);
  const logger = { info: log, warn: log };
  return openInternalRedis({ url, service: "test", logger, answerLimitMs, ...(elapsedMs && { elapsedMs }) });
};

const add = (count: number) => redis.run(ADD, ["counter"], [count]);

beforeAll(async () => {
  if (!hasRedis()) return;
  server = await startTestRedis();
});
afterAll(() => server?.stop());

beforeEach(async () => {
  lines = [];
  if (!hasRedis()) return;
  admin = new Redis(server.url, { protocol: 2 });
  admin.on("error", () => {});
  proxy = await startTcpProxy(server.port);
  const url = new URL(server.url);
  url.port = String(proxy.port);
  // Each look at the clock is a minute later, so that no server seems to come and go too often.
  let minutes = 0;
  redis = open(url.href, () => 60_000 * minutes++);
  await redis.untilKnown();
});
afterEach(async () => {
  redis?.close();
  admin?.disconnect();
  await proxy?.stop();
});

/** Expects one line that it is away, and one that it is back after `repair`. */
async function expectAwayAndBack(repair: () => unknown): Promise<void> {
  await expect.poll(() => redis.isUp(), WITHIN_MS).toBe(false);
  await expect(add(1)).rejects.toThrow("The internal Redis cannot be used now.");
  await repair();
  await expect.poll(() => redis.isUp(), BACK_WITHIN_MS).toBe(true);
  expect(await add(0)).toBeTypeOf("number");
  expect(lines).toEqual(["using the internal Redis", AWAY, BACK]);
}

describe.runIf(hasRedis())("the internal Redis", () => {
  test("runs a script, also when the server has forgotten it", async () => {
    await admin.set("counter", 1);
    expect(await add(2)).toBe(3);
    await admin.script("FLUSH");
    expect(await add(2)).toBe(5);
    expect(lines).toEqual(["using the internal Redis"]);
  });

  test("is away while its server is killed, and back when it has been started again", async () => {
    await server.kill9();
    await expectAwayAndBack(() => server.start());
  });

  test("is away while its server stands still, and takes no command of that time", async () => {
    await admin.set("counter", 10);
    process.kill(server.pid, "SIGSTOP");
    const asked = Array.from({ length: 20 }, () => add(1).catch(() => "away"));
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["away"]));
    await expectAwayAndBack(() => process.kill(server.pid, "SIGCONT"));
  });

  test("is away while its server is a replica", async () => {
    await admin.replicaof("127.0.0.1", 1);
    await expectAwayAndBack(() => admin.replicaof("NO", "ONE"));
  });

  test("connects at most once a second to a server that is a replica", async () => {
    let now = 0;
    redis.close();
    redis = open(server.url, () => now);
    await redis.untilKnown();
    await admin.replicaof("127.0.0.1", 1);
    try {
      await expect.poll(() => redis.isUp(), WITHIN_MS).toBe(false);
      const read = async () => {
        const info = await admin.info("all");
        const count = (pattern: RegExp) => Number(pattern.exec(info)?.[1] ?? 0);
        return {
          looks: count(/cmdstat_set:.*rejected_calls=(\d+)/),
          connections: count(/total_connections_received:(\d+)/),
        };
      };
      const before = await read();
      await expect.poll(async () => (await read()).looks, BACK_WITHIN_MS).toBeGreaterThan(before.looks + 3);
      // One, if that of the first refused look was not yet made.
      expect((await read()).connections - before.connections).toBeLessThanOrEqual(1);
      const later = await read();
      now += 1_000;
      await expect.poll(async () => (await read()).connections, BACK_WITHIN_MS).toBe(later.connections + 1);
    } finally {
      await admin.replicaof("NO", "ONE");
    }
  });

  test("is away while its server has no memory", async () => {
    await admin.config("SET", "maxmemory", "1");
    await expectAwayAndBack(() => admin.config("SET", "maxmemory", "0"));
  });

  test("is away while its server pauses its clients", async () => {
    await admin.client("PAUSE", 60_000, "WRITE");
    await expectAwayAndBack(() => admin.client("UNPAUSE"));
  });

  test("is away while the network swallows everything", async () => {
    proxy.blackhole();
    await expectAwayAndBack(() => proxy.restore());
  });

  test("is used all the same when a script fails, and says so once", async () => {
    const wrong = script("return redis.call('INCR')");
    await expect(redis.run(wrong, [], [])).rejects.toThrow("Wrong number of args");
    expect(redis.isUp()).toBe(true);
    expect(lines).toEqual([
      "using the internal Redis",
      "a script of the internal Redis failed; going on without it",
    ]);
  });

  test("limits how many scripts are under way", async () => {
    process.kill(server.pid, "SIGSTOP");
    try {
      const asked = Array.from({ length: 5_001 }, () => add(1));
      await expect(asked.pop()).rejects.toThrow("5000 calls of the internal Redis are under way.");
      await Promise.allSettled(asked);
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
  });

  test("says that it cannot be used when there is none at the start", async () => {
    const nobody = open("redis://127.0.0.1:1");
    await nobody.untilKnown();
    expect(nobody.isUp()).toBe(false);
    expect(lines).toContain(AWAY);
    nobody.close();
  });

  test("that comes and goes is left alone for growing times, and written about less and less", async () => {
    let now = 0;
    redis.close();
    lines = [];
    redis = open(server.url, () => now);
    await redis.untilKnown();
    for (let round = 0; round < 4; round++) {
      await admin.config("SET", "maxmemory", "1");
      await expect.poll(() => redis.isUp(), WITHIN_MS).toBe(false);
      await admin.config("SET", "maxmemory", "0");
      now += 1_000 * 2 ** round - 1;
      const looked = await admin.info("commandstats");
      const looks = (info: string) => Number(/cmdstat_set:calls=(\d+)/.exec(info)?.[1]);
      await expect
        .poll(async () => looks(await admin.info("commandstats")), BACK_WITHIN_MS)
        .toBeGreaterThan(looks(looked) + 1);
      expect(redis.isUp()).toBe(false);
      now += 1;
      await expect.poll(() => redis.isUp(), BACK_WITHIN_MS).toBe(true);
    }
  });
});

describe("the facts of a server", () => {
  test("have no complaint about Redis 7, Valkey, or a server that tells nothing", () => {
    const redis7 = "redis_version:7.0.15\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\n";
    expect(readServerFacts(redis7)).toEqual({ version: "7.0.15", unusable: undefined, advice: [] });
    const valkey = "server_name:valkey\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\n";
    expect(readServerFacts(valkey)).toMatchObject({ version: "7.2.4", unusable: undefined });
    expect(readServerFacts("")).toEqual({ version: undefined, unusable: undefined, advice: [] });
  });

  test("name an older version, and a policy that drops keys", () => {
    expect(readServerFacts("redis_version:6.2.14\r\n").unusable).toBe(
      "The internal Redis is version 6.2.14; use Redis 7 or newer, or Valkey.",
    );
    expect(readServerFacts("maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n").advice).toEqual([
      "maxmemory-policy is allkeys-lru: Redis drops counters of limits when its memory is full; set noeviction.",
    ]);
  });
});
