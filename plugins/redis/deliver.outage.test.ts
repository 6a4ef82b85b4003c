import { describe, expect, onTestFinished, test } from "vitest";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { hasRedis, startTestRedis } from "../../test/support/redis.ts";
import { startTcpProxy } from "../../test/support/tcp-proxy.ts";
import {
  deliverAll,
  newProject,
  openClient,
  openCustomer,
  openPlugin,
  recordLog,
  setUp,
  toMessage,
} from "./testing/ground.ts";

const STREAM = { destination: { case: "stream" as const, value: "s" } };

describe.runIf(hasRedis())("when Redis fails, a delivery", () => {
  async function startRedis(args?: readonly string[]) {
    const redis = await startTestRedis(args);
    onTestFinished(() => redis.stop());
    return redis;
  }

  async function startBehindProxy() {
    const redis = await startRedis();
    const proxy = await startTcpProxy(redis.port);
    onTestFinished(() => proxy.stop());
    const { logger, lines } = recordLog();
    const plugin = openPlugin(redis.url.replace(`:${redis.port}`, `:${proxy.port}`), logger);
    const projectId = newProject();
    await setUp(plugin, projectId);
    return { redis, proxy, plugin, projectId, lines };
  }

  test("of 10,000 triggers, with kill -9 in the middle, loses none and doubles none", async () => {
    const redis = await startRedis();
    const plugin = openPlugin(redis.url);
    const projectId = newProject();
    await setUp(plugin, projectId);
    const before = await plugin.describe();
    expect((await plugin.describe()).runId).toBe(before.runId);
    const messages = Array.from({ length: 10_000 }, (_, n) => toMessage(`${n}`, STREAM));
    let acknowledged = 0;
    let failedOnce = 0;
    let restarting: Promise<void> | undefined;

    // As the dispatcher does: what did not succeed is tried again, with the same guard.
    const deliverBatch = async (batch: typeof messages) => {
      let left = batch;
      while (left.length > 0) {
        const answers = await deliverAll(plugin, projectId, left);
        const failed = left.filter((_, index) => answers[index]?.outcome !== AttemptOutcome.SUCCEEDED);
        acknowledged += left.length - failed.length;
        failedOnce += failed.length;
        if (acknowledged >= 3_000) restarting ??= redis.kill9().then(redis.start);
        left = failed;
      }
    };
    const batches = Array.from({ length: 100 }, (_, n) => messages.slice(n * 100, n * 100 + 100));
    const queue = batches.values();
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (const batch of queue) await deliverBatch(batch);
      }),
    );
    expect(restarting).toBeDefined();
    const { runId } = await plugin.describe();
    expect(runId).toMatch(/^[0-9a-f]{40}$/);
    expect(runId).not.toBe(before.runId);
    expect(failedOnce).toBeGreaterThan(0);
    await setUp(plugin, projectId);
    const entries = await openCustomer(redis.port, projectId).xrange(`${projectId}:s`, "-", "+");
    const ids = entries.map(([, fields]) => fields[3]);
    expect(new Set(ids).size).toBe(10_000);
    expect(ids).toHaveLength(10_000);
    process.stdout.write(`kill -9: ${failedOnce} messages were tried again, 10,000 stored, 0 twice\n`);
  });

  test("to a server that accepts and never answers is UNKNOWN by the deadline, and works soon after", async () => {
    const { proxy, plugin, projectId } = await startBehindProxy();
    await deliverAll(plugin, projectId, [toMessage("a", STREAM)]);
    proxy.blackhole();
    const startedMs = performance.now();
    const [hung] = await deliverAll(plugin, projectId, [toMessage("b", STREAM)], 1_000);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(hung).toMatchObject({
      outcome: AttemptOutcome.UNKNOWN,
      error: expect.stringContaining("may have been written"),
    });
    // What comes while the answer is overdue is not sent, so it does not pile up.
    const [next] = await deliverAll(plugin, projectId, [toMessage("c", STREAM)], 1_000);
    expect(next?.outcome).toBe(AttemptOutcome.NOT_SENT);
    expect((await plugin.describe()).problem).toBe("The managed Redis does not answer now.");
    proxy.restore();
    const again = async () =>
      (await deliverAll(plugin, projectId, [toMessage("b", STREAM)], 500))[0]?.outcome;
    await expect.poll(again, { timeout: 15_000 }).toBe(AttemptOutcome.SUCCEEDED);
  });

  test("to a dead server is NOT_SENT within about a second, with one line in the log, and works when it is back", async () => {
    const { proxy, plugin, projectId, lines } = await startBehindProxy();
    const warned: string[] = [];
    const onWarning = ({ message }: Error) => warned.push(message);
    process.on("warning", onWarning);
    onTestFinished(() => void process.off("warning", onWarning));
    proxy.cut();
    // What was written before the end of the connection is noticed may have arrived.
    await deliverAll(plugin, projectId, [toMessage("first", STREAM)]);
    const startedMs = performance.now();
    const answers = await deliverAll(
      plugin,
      projectId,
      Array.from({ length: 100 }, (_, n) => toMessage(`${n}`, STREAM)),
    );
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect(new Set(answers.map(({ outcome, error }) => `${outcome} ${error}`))).toEqual(
      new Set([`${AttemptOutcome.NOT_SENT} The managed Redis cannot be reached now.`]),
    );
    const several = Array.from({ length: 20 }, () => deliverAll(plugin, projectId, [toMessage("0", STREAM)]));
    expect((await Promise.all(several)).map(([one]) => one?.outcome)).toEqual(
      several.map(() => AttemptOutcome.NOT_SENT),
    );
    expect(warned).toEqual([]);
    await expect(plugin.remove(projectId, AbortSignal.timeout(5_000))).rejects.toMatchObject({
      reason: "SERVICE_UNAVAILABLE",
    });
    const warnings = lines.filter(({ level }) => level === "warn");
    // One for each of four connections, and one for the batch that was cut off.
    expect(warnings.length).toBeLessThanOrEqual(5);
    expect(warnings[0]?.message).toBe("the managed Redis cannot be reached; trying again");
    proxy.restore();
    const [back] = await deliverAll(plugin, projectId, [toMessage("0", STREAM)]);
    expect(back?.outcome).toBe(AttemptOutcome.SUCCEEDED);
  });

  test("to a server without memory is REJECTED, and writes neither the message nor its guard", async () => {
    const redis = await startRedis(["--maxmemory-clients", "0"]);
    const plugin = openPlugin(redis.url);
    const projectId = newProject();
    await setUp(plugin, projectId);
    const admin = openClient(redis.port, { username: "admin", password: "test-admin" });
    await admin.config("SET", "maxmemory", "100kb");
    const message = toMessage("a", STREAM);
    expect(await deliverAll(plugin, projectId, [message])).toMatchObject([
      { outcome: AttemptOutcome.REJECTED, error: "The managed Redis has no memory left." },
    ]);
    expect(await admin.keys("*:guard:*")).toEqual([]);
    await admin.config("SET", "maxmemory", "256mb");
    const [after] = await deliverAll(plugin, projectId, [message]);
    expect(after?.outcome).toBe(AttemptOutcome.SUCCEEDED);
    expect(await admin.xlen(`${projectId}:s`)).toBe(1);
  });

  test("to a channel of a server that takes no writes is not published, and once it takes them, is published once", async () => {
    const redis = await startRedis(["--maxmemory-clients", "0"]);
    const plugin = openPlugin(redis.url);
    const projectId = newProject();
    await setUp(plugin, projectId);
    const admin = openClient(redis.port, { username: "admin", password: "test-admin" });
    const heard: string[] = [];
    const subscriber = openCustomer(redis.port, projectId);
    await subscriber.subscribe(`${projectId}:c`);
    const end = new Promise<void>((resolve) =>
      subscriber.on("message", (_, text) => (text === "end" ? resolve() : heard.push(JSON.parse(text).id))),
    );
    const message = toMessage("a", { destination: { case: "channel", value: "c" } });
    const attempt = async () => (await deliverAll(plugin, projectId, [message]))[0]?.outcome;

    await admin.config("SET", "maxmemory", "100kb");
    expect([await attempt(), await attempt()]).toEqual([AttemptOutcome.REJECTED, AttemptOutcome.REJECTED]);
    await admin.config("SET", "maxmemory", "256mb");
    // A replica of a server that does not exist.
    await admin.replicaof("127.0.0.1", 1);
    expect([await attempt(), await attempt()]).toEqual([AttemptOutcome.NOT_SENT, AttemptOutcome.NOT_SENT]);
    await admin.replicaof("NO", "ONE");
    expect([await attempt(), await attempt()]).toEqual([AttemptOutcome.SUCCEEDED, AttemptOutcome.SUCCEEDED]);
    await admin.publish(`${projectId}:c`, "end");
    await end;
    expect(heard).toEqual(["trg_a"]);
  });
});
