import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { type InternalRedis, openInternalRedis } from "./internal-redis.ts";
import { createLocalSeen, createSharedSeen } from "./seen.ts";

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

describe.each([
  { name: "one process", isRun: true, create: () => createLocalSeen() },
  { name: "Redis", isRun: hasRedis(), create: () => createSharedSeen(redis) },
])("the memory of $name", ({ isRun, create }) => {
  test.runIf(isRun)("has what was noted, and nothing that only looks like it", async () => {
    const seen = create();
    expect(await seen.has(["request", "p", "q r"])).toBe(false);
    seen.note(["request", "p", "q r"]);
    expect(await seen.has(["request", "p", "q r"])).toBe(true);
    expect(await seen.has(["request", "p q", "r"])).toBe(false);
    expect(await seen.has(["request", "p", "q", "r"])).toBe(false);
  });
});

test("the memory of one process forgets after ten minutes, and what is oldest of very much", async () => {
  let now = 0;
  const seen = createLocalSeen(() => now);
  seen.note(["a"]);
  now = 599_999;
  expect(await seen.has(["a"])).toBe(true);
  now = 600_000;
  expect(await seen.has(["a"])).toBe(false);
  for (let each = 0; each <= 20_000; each++) seen.note([String(each)]);
  expect([await seen.has(["0"]), await seen.has(["1"]), await seen.has(["20000"])]).toEqual([
    false,
    true,
    true,
  ]);
});

describe.runIf(hasRedis())("the memory of Redis", () => {
  test("is shared, and ends by itself", async () => {
    const [one, other] = [createSharedSeen(redis), createSharedSeen(redis)];
    one.note(["shared"]);
    await expect.poll(() => other.has(["shared"]), { timeout: 10_000 }).toBe(true);
    for (const key of await admin.keys("easycron:seen:*")) {
      expect(await admin.pttl(key)).toBeGreaterThan(590_000);
      expect(await admin.pttl(key)).toBeLessThanOrEqual(600_000);
    }
  });

  test("is a process's own while Redis is away", async () => {
    const seen = createSharedSeen(redis);
    process.kill(server.pid, "SIGSTOP");
    try {
      expect(await seen.has(["away"])).toBe(false);
      seen.note(["away"]);
      expect(await seen.has(["away"])).toBe(true);
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
  });
});
