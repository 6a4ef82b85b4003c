import { Redis } from "ioredis";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import { describeStore } from "../testing/store-suite.ts";
import { redisStore } from "./redis-store.ts";

describe.runIf(hasRedis())("Redis", () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await startTestRedis();
  });
  afterAll(() => server.stop());

  describeStore(
    "Redis, through ioredis",
    async () => {
      const client = new Redis(server.url);
      return {
        create: (options) => redisStore(client, { ...options, prefix: "one:" }),
        stop: async () => client.disconnect(),
      };
    },
    { runs: 30 },
  );

  describeStore(
    "Redis, through node-redis",
    async () => {
      const client = createClient({ url: server.url });
      await client.connect();
      return {
        create: (options) => redisStore(client, { ...options, prefix: "two:" }),
        stop: () => client.close(),
      };
    },
    { runs: 30 },
  );

  test("decides by its own clock, and forgets by itself", async () => {
    const client = new Redis(server.url);
    const store = redisStore(client, { keepMs: 50_000 });
    const claimed = await store.claim("trg_1", { leaseMs: 60_000 });
    expect(claimed).toMatchObject({ kind: "CLAIMED" });
    expect(await client.pttl("easycron:once:trg_1")).toBeGreaterThan(50_000);
    const held = await store.claim("trg_1", { leaseMs: 60_000 });
    expect(held.kind === "HELD" && held.retryAfterMs).toBeGreaterThan(50_000);
    if (claimed.kind === "CLAIMED") await store.complete("trg_1", claimed.token, "1");
    expect(await client.pttl("easycron:once:trg_1")).toBeLessThanOrEqual(50_000);
    await store.swap("k", undefined, "1");
    expect(await client.ttl("easycron:text:k")).toBeGreaterThan(399 * 86_400);
    client.disconnect();
  });

  test("says that answers are needed as texts when a client answers with bytes", async () => {
    const client = { eval: async () => 7 };
    await expect(redisStore(client).claim("a", { leaseMs: 1_000 })).rejects.toThrow("Redis answered 7");
  });
});
