import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { hasRedis } from "../test/support/redis.ts";
import { findFreePorts } from "./ports.ts";
import { identityOf } from "./processes.ts";
import { findRedisServer, startRedisServer } from "./redis-server.ts";
import { StartError } from "./start-error.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

test("the error of a machine without Redis is one line with the commands that install it", () => {
  vi.stubEnv("PATH", "/nowhere");
  const attempt = () => findRedisServer();
  expect(attempt).toThrow(StartError);
  expect(attempt).toThrow(
    'There is no redis-server and no valkey-server in PATH. Install Redis 7.0 or newer: "apt-get install redis-server" on Debian, "brew install redis" on macOS.',
  );
});

describe.runIf(hasRedis())("a local Redis", () => {
  async function place() {
    const parent = await mkdtemp(join(tmpdir(), "easycron-redis-"));
    onTestFinished(() => rm(parent, { recursive: true }));
    const [port = 0] = await findFreePorts(1);
    return { folder: join(parent, "redis"), port, adminPassword: "p:w d" };
  }

  function connect(url: string): Redis {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null });
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    return client;
  }

  test("keeps its data over kill -9, and lets nobody in without the password", async () => {
    const options = await place();
    const first = await startRedisServer(options);
    await connect(first.url).multi().set("k", "v").set("k2", "v2").exec();
    await expect(connect(`redis://127.0.0.1:${first.port}`).get("k")).rejects.toThrow("NOAUTH");
    await first.kill9();
    expect(identityOf(first.pid)).toBeUndefined();

    const second = await startRedisServer(options);
    onTestFinished(() => second.stop());
    expect(second.url).toBe(first.url);
    expect(await connect(second.url).mget("k", "k2")).toEqual(["v", "v2"]);
  });

  test("replaces a server that was left running on its folder", async () => {
    const options = await place();
    const first = await startRedisServer(options);
    const second = await startRedisServer(options);
    onTestFinished(() => second.stop());
    expect(identityOf(first.pid)).toBeUndefined();
    expect(await connect(second.url).ping()).toBe("PONG");
  });

  test("does not start on a port that is taken, and says so", async () => {
    const first = await startRedisServer(await place());
    onTestFinished(() => first.stop());
    const error = await startRedisServer({ ...(await place()), port: first.port }).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(StartError);
    expect((error as Error).message).toMatch(
      new RegExp(
        `^Redis cannot start on .+: Failed listening on port ${first.port} \\(TCP\\), aborting\\. Free the port`,
      ),
    );
  });
});
