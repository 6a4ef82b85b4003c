import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasRedis, startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import {
  deliverAll,
  newProject,
  openClient,
  openCustomer,
  openPlugin,
  setUp,
  toMessage,
} from "./testing/ground.ts";

describe.runIf(hasRedis())("what projects use in Redis", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startTestRedis();
  });
  afterAll(() => redis.stop());

  const openAdmin = () => openClient(redis.port, { username: "admin", password: "test-admin" });
  const soon = () => AbortSignal.timeout(10_000);

  test("is measured for each: bytes, keys and connections, in the order asked for", async () => {
    const [small, large, empty] = [newProject(), newProject(), newProject()];
    const plugin = openPlugin(redis.url);
    for (const projectId of [small, large, empty]) await setUp(plugin, projectId, { users: [1, 2] });
    const first = openCustomer(redis.port, small, 1);
    await first.set(`${small}:app:k`, "v");
    await openCustomer(redis.port, small, 2).ping();
    const writer = openCustomer(redis.port, large);
    const pipeline = writer.pipeline();
    for (let n = 0; n < 1_500; n++) pipeline.set(`${large}:app:${n}`, "x".repeat(1_000));
    await pipeline.exec();
    writer.disconnect();

    const usages = await plugin.measureUsage([large, empty, small], soon());
    const admin = openAdmin();
    const bytes = Number(await admin.memory("USAGE", `${small}:app:k`));
    expect(usages).toMatchObject([
      { projectId: large, usage: { keys: 1_500n } },
      { projectId: empty, usage: { keys: 0n, bytes: 0n, connections: 0 } },
      { projectId: small, usage: { keys: 1n, bytes: BigInt(bytes), connections: 2 } },
    ]);
    const [used] = usages;
    expect(Number(used?.usage?.bytes)).toBeGreaterThan(1_500 * 1_000);
    expect(Number(used?.usage?.bytes)).toBeLessThan(1_500 * 1_500);
  });

  test("counts the memory of the guards that EasyCron keeps for a project, and not their number", async () => {
    const projectId = newProject();
    const plugin = openPlugin(redis.url);
    await setUp(plugin, projectId);
    const messages = Array.from({ length: 100 }, (_, n) =>
      toMessage(`${n}`, { destination: { case: "channel", value: "c" } }),
    );
    await deliverAll(plugin, projectId, messages);
    const [used] = await plugin.measureUsage([projectId], soon());
    expect(used?.usage?.keys).toBe(0n);
    expect(Number(used?.usage?.bytes)).toBeGreaterThan(100 * 50);
  });

  test("is gone after the project is removed, which touches no other project", async () => {
    const [projectId, other] = [newProject(), `${newProject()}x`];
    const plugin = openPlugin(redis.url);
    for (const each of [projectId, other]) {
      await setUp(plugin, each);
      await openCustomer(redis.port, each).set(`${each}:app:k`, "v");
      await deliverAll(plugin, each, [
        toMessage("a", { destination: { case: "key", value: "latest" } }),
        toMessage("b", { destination: { case: "stream", value: "s" } }),
      ]);
    }
    const customer = openCustomer(redis.port, projectId);
    await customer.ping();
    const closed = new Promise<void>((resolve) => customer.on("close", () => resolve()));
    await plugin.remove(projectId, soon());
    await closed;
    await plugin.remove(projectId, soon());

    const admin = openAdmin();
    const keys = await admin.keys("*");
    expect(keys.filter((key) => key.includes(`${projectId}:`) || key.endsWith(projectId))).toEqual([]);
    expect(await admin.sismember("easycron:projects", projectId)).toBe(0);
    expect((await admin.call("ACL", "USERS")) as string[]).not.toContain(`${projectId}-1`);
    expect(keys.filter((key) => key.includes(other))).toHaveLength(7);
    expect(await openCustomer(redis.port, other).get(`${other}:app:k`)).toBe("v");
  });
});
