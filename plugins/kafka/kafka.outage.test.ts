import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { hasKafka, joinKafka } from "../../test/support/kafka.ts";
import { createKafkaPlugin } from "./kafka.ts";
import { batchOf, messageFor, newProjectId, settingsFor } from "./testing/space.ts";

const { NOT_SENT } = AttemptOutcome;

const cleanUp: (() => unknown)[] = [];
afterAll(async () => {
  for (const step of cleanUp.reverse()) await step();
});

function pluginAt(brokers: string, login = { username: "admin", password: "admin-secret" }) {
  const plugin = createKafkaPlugin(settingsFor({ brokers, ...login }));
  cleanUp.push(() => plugin.close());
  return plugin;
}

async function outcomesWithin(plugin: ReturnType<typeof pluginAt>, ms: number, topics = ["a", "b"]) {
  const messages = topics.map((topic) => messageFor({ topic }));
  const startMs = performance.now();
  const deliveries = await plugin.deliver(batchOf(newProjectId(), messages), AbortSignal.timeout(ms));
  return { outcomes: deliveries.map(({ outcome }) => outcome), tookMs: performance.now() - startMs };
}

test("a batch for a Kafka that accepts connections and never answers fails at the deadline, not sent", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on("error", () => {})));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const plugin = pluginAt(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const both = await Promise.all([outcomesWithin(plugin, 300), outcomesWithin(plugin, 300)]);
  for (const { outcomes, tookMs } of both) {
    expect(outcomes).toEqual([NOT_SENT, NOT_SENT]);
    expect(tookMs).toBeLessThan(2_000);
  }
  const askedMs = performance.now();
  expect(await plugin.describe()).toMatchObject({ problem: "The managed Kafka does not answer." });
  // The gateway waits 3 s for the answers of all plugins.
  expect(performance.now() - askedMs).toBeLessThan(2_500);
  await expect(plugin.remove("proj_1", AbortSignal.timeout(100))).rejects.toMatchObject({
    reason: "SERVICE_UNAVAILABLE",
  });
});

test("a batch for a Kafka that is down fails at once, not sent", async () => {
  const plugin = pluginAt("127.0.0.1:1");
  const { outcomes, tookMs } = await outcomesWithin(plugin, 10_000);
  expect(outcomes).toEqual([NOT_SENT, NOT_SENT]);
  expect(tookMs).toBeLessThan(5_000);
});

describe.skipIf(!(await hasKafka()))("at a Kafka that is up", async () => {
  const kafka = await joinKafka();

  test("a wrong administrator's password is said to be the operator's to repair", async () => {
    const plugin = pluginAt(kafka.brokers, { username: "admin", password: "wrong-password" });
    const messages = [messageFor({ topic: "a" })];
    const [delivery] = await plugin.deliver(batchOf(newProjectId(), messages), AbortSignal.timeout(15_000));
    expect(delivery).toMatchObject({
      outcome: NOT_SENT,
      error: expect.stringContaining("let EasyCron log in"),
    });
    await expect(plugin.remove("proj_1", AbortSignal.timeout(15_000))).rejects.toMatchObject({
      reason: "SERVICE_UNAVAILABLE",
    });
  });
});
