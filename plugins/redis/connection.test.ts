import { expect, test } from "vitest";
import { hasRedis, startTestRedis } from "../../test/support/redis.ts";
import { startTcpProxy } from "../../test/support/tcp-proxy.ts";
import { connect } from "./connection.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

test.runIf(hasRedis())(
  "a connection that was accepted and got no answer is given up and opened again",
  async () => {
    const redis = await startTestRedis();
    const proxy = await startTcpProxy(redis.port);
    const url = new URL(redis.url);
    url.port = String(proxy.port);
    proxy.blackhole();
    const connection = connect(url.href, "test", silent);
    try {
      await expect.poll(() => proxy.opened, { timeout: 10_000 }).toBeGreaterThan(1);
      proxy.restore();
      expect(await connection.untilReady(AbortSignal.timeout(10_000))).toBe(true);
      expect(await connection.client.ping()).toBe("PONG");
    } finally {
      connection.close();
      await proxy.stop();
      await redis.stop();
    }
  },
);
