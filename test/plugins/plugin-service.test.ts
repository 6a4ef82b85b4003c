import { once } from "node:events";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStream, webhook } from "../../sdk/index.ts";
import { hasRedis } from "../support/redis.ts";
import { type Scene, startScene, type Tenant } from "./scene.ts";

/*
 * PluginService through the public API: a real gateway, scheduler and plugins service, PostgreSQL and Redis.
 */

let scene: Scene;
/** What the gateway takes for the time that decides; null is PostgreSQL's. */
/** How far the gateway's clock is ahead, if not 0. It goes on: what has failed is due again after a while. */
let aheadMs = 0;

beforeAll(async () => {
  if (hasRedis())
    scene = await startScene({ overrides: { now: () => (aheadMs === 0 ? null : Date.now() + aheadMs) } });
}, 60_000);
afterAll(() => scene?.close());

/** Connects as a customer does. */
async function connect(url: string | undefined): Promise<Redis> {
  const client = new Redis(url ?? "", {
    retryStrategy: () => null,
    lazyConnect: true,
    enableReadyCheck: false,
  });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** Waits until the loop has brought a plugin to a state. */
async function untilState({ easycron }: Tenant, state: string): Promise<void> {
  await expect.poll(async () => (await easycron.plugins.get("REDIS")).state).toBe(state);
}

const DAY_MS = 86_400_000;

describe.skipIf(!hasRedis())("PluginService", () => {
  test("enables a plugin whose password works for the project's own keys, and for no other", async () => {
    const tenant = await scene.createTenant();
    await expect(tenant.easycron.plugins.get("REDIS")).rejects.toMatchObject({
      reason: "PLUGIN_NOT_ENABLED",
    });
    const { plugin, credentials } = await tenant.easycron.plugins.enable("REDIS");
    expect(plugin).toMatchObject({
      kind: "REDIS",
      state: "ENABLED",
      prefix: `${tenant.id}:`,
      endpoint: `127.0.0.1:${scene.redis.port}`,
      credentials: [{ username: `${tenant.id}-1` }],
    });
    expect(plugin.limits?.maxBytes).toBe(64 * 1024 ** 2);
    const client = await connect(credentials?.url);
    await client.set(`${plugin.prefix}app:x`, "1");
    expect(await client.get(`${plugin.prefix}app:x`)).toBe("1");
    await expect(client.set("proj_other:app:x", "1")).rejects.toThrow(/NOPERM/);
    client.disconnect();
    expect(await tenant.easycron.plugins.get("REDIS")).toMatchObject({ state: "ENABLED" });
    expect((await tenant.easycron.plugins.list()).map(({ kind }) => kind)).toEqual(["REDIS"]);
  });

  test("shows a project nothing of another's plugin", async () => {
    const [one, other] = [await scene.createTenant(), await scene.createTenant()];
    await one.easycron.plugins.enable("REDIS");
    const { plugins } = other.easycron;
    expect(await plugins.list()).toEqual([]);
    for (const call of [
      () => plugins.get("REDIS"),
      () => plugins.update("REDIS"),
      () => plugins.rotateCredentials("REDIS"),
      () => plugins.disable("REDIS", { force: true }),
    ])
      await expect(call()).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    expect(await scene.usersOf(one.id)).toEqual([`${one.id}-1`]);
  });

  test("says that a kind which the operator has not set up is not available", async () => {
    const { plugins } = (await scene.createTenant()).easycron;
    for (const call of [() => plugins.enable("KAFKA"), () => plugins.get("KAFKA")])
      await expect(call()).rejects.toMatchObject({ reason: "PLUGIN_NOT_AVAILABLE" });
  });

  test("rotates: both passwords work in the overlap, then the old one dies with its live connection", async () => {
    const tenant = await scene.createTenant();
    const { credentials: old } = await tenant.easycron.plugins.enable("REDIS");
    const { credentials, plugin } = await tenant.easycron.plugins.rotateCredentials("REDIS", {
      overlap: "3600s",
    });
    expect(credentials.expireTimeOfOld?.getTime()).toBe(plugin.credentials[1]?.expireTime?.getTime());
    const [before, after] = [await connect(old?.url), await connect(credentials.url)];
    const ended = once(before, "end");
    aheadMs = 3_600_000;
    try {
      await ended;
      await expect(connect(old?.url)).rejects.toThrow();
      expect(await after.ping()).toBe("PONG");
      expect(await scene.usersOf(tenant.id)).toEqual([`${tenant.id}-2`]);
    } finally {
      aheadMs = 0;
      after.disconnect();
    }
  });

  test("refuses jobs for a plugin that is not enabled, and tells its state", async () => {
    const { easycron } = await scene.createTenant();
    const job = { name: "to-redis", target: redisStream("orders") };
    await expect(easycron.jobs.create(job)).rejects.toMatchObject({
      reason: "PLUGIN_NOT_ENABLED",
      message: expect.stringMatching(/^job\.target\.redis: .* not enabled for this project/),
    });
    await easycron.plugins.enable("REDIS");
    await easycron.jobs.create(job);
    await expect(easycron.plugins.disable("REDIS")).rejects.toMatchObject({
      reason: "PLUGIN_IN_USE",
      message: expect.stringContaining("is the target of 1 jobs, such as to-redis"),
    });
    expect(await easycron.plugins.get("REDIS")).toMatchObject({ state: "ENABLED" });
    await easycron.jobs.create({ name: "to-web", target: webhook("https://example.com/") });
    const { pausedJobs, plugin } = await easycron.plugins.disable("REDIS", { force: true });
    expect(pausedJobs).toBe(1);
    expect(plugin).toMatchObject({ state: "DISABLED", credentials: [] });
    expect(await easycron.jobs.get("to-redis")).toMatchObject({ state: "PAUSED" });
    expect((await easycron.jobs.get("to-web")).state).not.toBe("PAUSED");
    await expect(easycron.jobs.update({ ...job, payload: 1 })).rejects.toMatchObject({
      message: expect.stringContaining("is DISABLED, not ENABLED"),
    });
  });

  test("disables: the connection ends at once, the data comes back in the grace and is gone after it", async () => {
    const tenant = await scene.createTenant();
    const { plugins } = tenant.easycron;
    const { credentials, plugin } = await plugins.enable("REDIS");
    const client = await connect(credentials?.url);
    await client.set(`${plugin.prefix}app:kept`, "1");
    const ended = once(client, "end");
    await plugins.disable("REDIS", { graceDays: 1 });
    await ended;
    await expect(connect(credentials?.url)).rejects.toThrow();
    const again = await plugins.enable("REDIS");
    const second = await connect(again.credentials?.url);
    expect(await second.get(`${plugin.prefix}app:kept`)).toBe("1");
    second.disconnect();
    await plugins.disable("REDIS", { graceDays: 1 });
    aheadMs = DAY_MS;
    try {
      await expect.poll(() => scene.admin.keys(`*${tenant.id}*`)).toEqual([]);
    } finally {
      aheadMs = 0;
    }
    expect(await scene.usersOf(tenant.id)).toEqual([]);
    expect(await plugins.get("REDIS")).toMatchObject({ state: "DISABLED", dataRemoveTime: expect.any(Date) });
  });

  test("measures what a project uses, lets it only read over its limits, and write again below them", async () => {
    const tenant = await scene.createTenant();
    const { plugins } = tenant.easycron;
    const { credentials, plugin } = await plugins.enable("REDIS", { limits: { maxKeys: 10 } });
    const client = await connect(credentials?.url);
    const keys = Array.from({ length: 10 }, (_, index) => `${plugin.prefix}app:${index}`);
    for (const key of keys) await client.set(key, "1");
    const untilWriting = async (expected: RegExp) => {
      aheadMs += 61_000;
      await expect.poll(async () => (await plugins.get("REDIS")).stateReason).toMatch(expected);
    };
    try {
      await untilWriting(/^The limits are used up: .* 10 of 10 keys/);
      expect((await plugins.get("REDIS")).usage).toMatchObject({ keys: 10, connections: 1 });
      await expect(client.set(keys[0] ?? "", "2")).rejects.toThrow(/NOPERM/);
      expect(await client.get(keys[0] ?? "")).toBe("1");
      await client.del(...keys.slice(0, 5));
      await untilWriting(/^$/);
      expect(await client.set(keys[0] ?? "", "2")).toBe("OK");
    } finally {
      aheadMs = 0;
      client.disconnect();
    }
  });

  test("shows PROVISIONING while the Redis is down, and finishes by itself when it is back", async () => {
    const [tenant, enabled] = [await scene.createTenant(), await scene.createTenant()];
    const { credentials } = await enabled.easycron.plugins.enable("REDIS");
    await scene.redis.kill9();
    const client = scene.at(scene.url, tenant);
    await expect(client.plugins.enable("REDIS", { timeoutMs: 15_000 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    const { state, stateReason } = await tenant.easycron.plugins.get("REDIS");
    expect(state).toBe("PROVISIONING");
    expect(stateReason).not.toBe("");
    await scene.redis.start();
    await untilState(tenant, "ENABLED");
    expect(await scene.usersOf(tenant.id)).toEqual([]);
    // A Redis that restarts has forgotten its users. The loop sees another run of it, and makes them again at once, with the
    // same passwords. Without a restart they are due a minute after the last time.
    await expect.poll(() => scene.usersOf(enabled.id)).toEqual([`${enabled.id}-1`]);
    (await connect(credentials?.url)).disconnect();
    const rotated = await tenant.easycron.plugins.rotateCredentials("REDIS");
    (await connect(rotated.credentials.url)).disconnect();
  }, 120_000);
});
