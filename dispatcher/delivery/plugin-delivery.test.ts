import { createSecretKey, randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  type Delivery as Answer,
  type DeliverRequest,
  type Message,
  PluginsService,
} from "../../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../../gen/easycron/v1/trigger_pb.ts";
import { failure } from "../../mesh/errors.ts";
import { createGrpcClient } from "../../mesh/grpc-client.ts";
import { createGrpcServer } from "../../mesh/grpc-server.ts";
import { startTcpProxy } from "../../test/support/tcp-proxy.ts";
import { heldTrigger } from "../testing/held.ts";
import type { Delivery } from "./outcome.ts";
import { createPluginDelivery } from "./plugin-delivery.ts";
import { type PluginAttempt, toPluginMessage } from "./plugin-message.ts";
import { parsePluginTarget } from "./plugin-target.ts";
import { toSpec } from "./spec.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const secret = randomBytes(32);
const targets = {
  redis: parsePluginTarget("redis", { stream: "orders" }),
  kafka: parsePluginTarget("kafka", { topic: "orders" }),
};
const NOW = Date.parse("2026-03-01T10:00:00.250Z");

type Change = Partial<Pick<PluginAttempt, "trigger" | "number" | "startTimeMs">> & {
  readonly plugin?: "redis" | "kafka";
  readonly projectId?: string;
  readonly timeoutMs?: number;
  readonly payload?: string;
};

function attemptOf(change: Change = {}): PluginAttempt {
  const { plugin = "redis", projectId = "proj_1", timeoutMs = 5_000, payload = '{"a":1}' } = change;
  const target = targets[plugin];
  const stored = { target: { webhook: { url: "https://example.com/" } }, payloadJson: payload };
  const row = { job_uid: "job_1", revision: 1, spec: JSON.stringify(stored) };
  return {
    trigger: heldTrigger(NOW, { projectId }),
    spec: { ...toSpec(row), target, attemptTimeoutMs: timeoutMs },
    number: 1,
    startTimeMs: NOW,
    target,
    keys: [createSecretKey(secret)],
    ...change,
  };
}

type Answers = Pick<Answer, "triggerId" | "outcome"> & {
  readonly error?: string;
  readonly isFinal?: boolean;
  readonly position?: string;
};

const succeeded = ({ triggerId }: Message): Answers => ({ triggerId, outcome: AttemptOutcome.SUCCEEDED });

/** Starts a plugin-delivery service that answers as told, and a plugin delivery that calls it. */
async function start(answer: (request: DeliverRequest) => Promise<Answers[]>) {
  const server = createGrpcServer({ logger: silent });
  const unused = async (): Promise<never> => {
    throw failure("METHOD_UNIMPLEMENTED", { method: "unused" });
  };
  const calls: DeliverRequest[] = [];
  server.add(PluginsService, {
    deliver: async (request) => {
      calls.push(request);
      return { deliveries: await answer(request) };
    },
    describePlugins: unused,
    provision: unused,
    remove: unused,
    measureUsage: unused,
  });
  const port = await server.listen("127.0.0.1:0");
  cleanUp.push(() => server.close(0));
  return { calls, server, ...connect(port) };
}

function connect(port: number) {
  const client = createGrpcClient(PluginsService, { addresses: [`127.0.0.1:${port}`], deadlineMs: 30_000 });
  const told: string[] = [];
  const delivery = createPluginDelivery({
    client,
    onFailed: (plugin) => told.push(`${plugin} failed`),
    onRecovered: (plugin, failures) => told.push(`${plugin} works after ${failures}`),
  });
  cleanUp.push(() => {
    delivery.close();
    client.close();
  });
  return { delivery, told };
}

describe("a message", () => {
  test("has the document, the names of the job, the fire time and a signature that verifies", () => {
    const trigger = heldTrigger(NOW, { jobName: "nightly", jobUid: "job_7", projectId: "proj_7" });
    const message = toPluginMessage(attemptOf({ trigger, number: 3, startTimeMs: NOW + 2_000 }));
    expect(message).toMatchObject({
      triggerId: trigger.id,
      target: { kind: { case: "redis", value: { destination: { case: "stream", value: "orders" } } } },
      jobName: "nightly",
      jobUid: "job_7",
      fireTime: "2026-03-01T10:00:00.250Z",
      webhookTimestamp: BigInt(Math.floor((NOW + 2_000) / 1_000)),
    });
    const text = Buffer.from(message.body).toString();
    expect(JSON.parse(text)).toMatchObject({
      type: "trigger.fired",
      data: { trigger: trigger.id, attempt: 3, payload: { a: 1 } },
    });
    const headers = {
      "webhook-id": trigger.id,
      "webhook-timestamp": String(message.webhookTimestamp),
      "webhook-signature": message.webhookSignature ?? "",
    };
    const verify = () => new Webhook(`whsec_${secret.toString("base64")}`).verify(text, headers);
    expect(verify).toThrow(/too old|too new/);
    const now = toPluginMessage(attemptOf({ trigger, startTimeMs: Date.now() }));
    const fresh = { ...headers, "webhook-timestamp": String(now.webhookTimestamp) };
    fresh["webhook-signature"] = now.webhookSignature ?? "";
    expect(
      new Webhook(`whsec_${secret.toString("base64")}`).verify(Buffer.from(now.body), fresh),
    ).toBeTruthy();
  });

  test("keeps its guard over all attempts, and gets another one when a backfill makes the trigger due again", () => {
    const trigger = heldTrigger(NOW);
    const guards = [
      attemptOf({ trigger }),
      attemptOf({ trigger, number: 2, startTimeMs: NOW + 60_000 }),
      attemptOf({ trigger: { ...trigger, attemptBase: 2, attemptCount: 2 }, number: 3 }),
    ].map((attempt) => toPluginMessage(attempt).guard);
    expect(guards).toEqual([`${trigger.id}.0`, `${trigger.id}.0`, `${trigger.id}.2`]);
  });

  test("has a guard that lasts as long as there can be another attempt, and an hour more", () => {
    const hour = 3_600_000;
    const ttl = (startTimeMs: number) =>
      Number(toPluginMessage(attemptOf({ trigger: heldTrigger(NOW), startTimeMs })).guardTtlMs);
    // The attempt timeout is 5 s, and the maximum age is 24 hours.
    expect(ttl(NOW)).toBe(24 * hour + 5_000 + hour);
    expect(ttl(NOW + 20 * hour)).toBe(4 * hour + 5_000 + hour);
    expect(ttl(NOW + 30 * hour)).toBe(5_000 + hour);
  });
});

describe("the messages that start in one turn of the event loop", () => {
  test("share a call if they are of one project and one plugin, and have the same time limit", async () => {
    const { calls, delivery } = await start(async ({ messages }) => messages.map(succeeded));
    const attempts = [
      ...Array.from({ length: 300 }, () => attemptOf()),
      ...Array.from({ length: 20 }, () => attemptOf({ projectId: "proj_2" })),
      ...Array.from({ length: 10 }, () => attemptOf({ plugin: "kafka" })),
      ...Array.from({ length: 5 }, () => attemptOf({ timeoutMs: 9_000 })),
    ];
    const outcomes = await Promise.all(attempts.map(delivery.deliver));
    expect(new Set(outcomes.map(({ outcome }) => outcome.kind))).toEqual(new Set(["SUCCEEDED"]));
    const sizes = calls.map(({ projectId, messages }) => `${projectId} ${messages.length}`);
    expect(sizes.toSorted()).toEqual(["proj_1 10", "proj_1 300", "proj_1 5", "proj_2 20"]);
  });

  test("go in calls of at most 500 messages and some 4 MiB, of which a project has at most two under way", async () => {
    const underWay = new Map<string, number>();
    const counts: number[] = [];
    const twoOfEach = Promise.withResolvers<void>();
    const { calls, delivery } = await start(async ({ projectId, messages }) => {
      const count = (underWay.get(projectId) ?? 0) + 1;
      underWay.set(projectId, count);
      counts.push(count);
      if (underWay.size === 2 && [...underWay.values()].every((each) => each >= 2)) twoOfEach.resolve();
      await twoOfEach.promise;
      underWay.set(projectId, (underWay.get(projectId) ?? 0) - 1);
      return messages.map(succeeded);
    });
    const small = Array.from({ length: 1_200 }, () => attemptOf());
    const payload = JSON.stringify("x".repeat(1_000_000));
    const large = Array.from({ length: 12 }, () => attemptOf({ payload, projectId: "proj_2" }));
    await Promise.all([...small, ...large].map(delivery.deliver));
    const sizesOf = (projectId: string) =>
      calls
        .filter((call) => call.projectId === projectId)
        .map(({ messages }) => messages.length)
        .sort();
    expect(sizesOf("proj_1")).toEqual([200, 500, 500]);
    expect(sizesOf("proj_2")).toEqual([2, 5, 5]);
    expect(Math.max(...counts)).toBe(2);
  });
});

describe("an outcome", () => {
  test("is that of the message in the same place, with its position and its error", async () => {
    const answers: Omit<Answers, "triggerId">[] = [
      { outcome: AttemptOutcome.SUCCEEDED, position: "stream entry 1-0", error: "none" },
      { outcome: AttemptOutcome.REJECTED, error: "The message is too large.", isFinal: true },
      { outcome: AttemptOutcome.REJECTED, error: "The limit is reached.\0" },
      { outcome: AttemptOutcome.NOT_SENT, error: "Redis cannot be reached." },
      { outcome: AttemptOutcome.UNKNOWN },
    ];
    const { delivery } = await start(async ({ messages }) =>
      messages.map(({ triggerId }, index) => ({
        triggerId,
        ...(answers[index] ?? { outcome: AttemptOutcome.UNKNOWN }),
      })),
    );
    const deliveries = await Promise.all(answers.map(() => delivery.deliver(attemptOf())));
    expect(deliveries).toMatchObject([
      { outcome: { kind: "SUCCEEDED", statusCode: null }, error: "", responseBody: "stream entry 1-0" },
      { outcome: { kind: "REJECTED", isFinal: true }, error: "The message is too large." },
      { outcome: { kind: "REJECTED", isFinal: false }, error: "The limit is reached.\ufffd" },
      { outcome: { kind: "NOT_SENT" }, error: "Redis cannot be reached." },
      { outcome: { kind: "UNKNOWN" }, error: /Redis did not answer; the message may have been written/ },
    ]);
  });

  test("is UNKNOWN for a message that the answer leaves out or takes for another one", async () => {
    const { delivery } = await start(async () => [{ triggerId: "trg_x", outcome: AttemptOutcome.SUCCEEDED }]);
    const deliveries = await Promise.all([attemptOf(), attemptOf()].map(delivery.deliver));
    expect(deliveries.map(({ outcome }) => outcome.kind)).toEqual(["UNKNOWN", "UNKNOWN"]);
  });
});

describe("a plugin-delivery service", () => {
  test("that hangs leaves the outcome UNKNOWN at the time limit, and NOT_SENT for what waits behind", async () => {
    const { delivery, calls } = await start(() => new Promise(() => {}));
    const startedMs = performance.now();
    const attempts: Promise<Delivery>[] = [];
    for (let call = 1; call <= 2; call++) {
      attempts.push(delivery.deliver(attemptOf({ timeoutMs: 1_500 })));
      await vi.waitFor(() => expect(calls).toHaveLength(call), { interval: 5, timeout: 15_000 });
    }
    for (let each = 0; each < 2; each++) attempts.push(delivery.deliver(attemptOf({ timeoutMs: 300 })));
    const deliveries = await Promise.all(attempts);
    const tookMs = performance.now() - startedMs;
    expect(calls).toHaveLength(2);
    const kinds = deliveries.map(({ outcome }) => outcome.kind);
    expect(kinds).toEqual(["UNKNOWN", "UNKNOWN", "NOT_SENT", "NOT_SENT"]);
    expect(deliveries.at(-1)?.error).toMatch(/busy with earlier messages for 0.3 s/);
    expect(tookMs).toBeGreaterThan(1_490);
    expect(tookMs).toBeLessThan(4_000);
  });

  test("that hangs for one project delays no other, and no other plugin of the same project", async () => {
    const { delivery } = await start(({ projectId, messages }) => {
      const isHung = projectId === "proj_1" && messages[0]?.target?.kind.case === "redis";
      return isHung ? new Promise(() => {}) : Promise.resolve(messages.map(succeeded));
    });
    let isHungDone = false;
    const hung = Promise.all(Array.from({ length: 50 }, () => delivery.deliver(attemptOf()))).then(() => {
      isHungDone = true;
    });
    const others = [attemptOf({ plugin: "kafka" }), attemptOf({ projectId: "proj_2" })];
    const deliveries = await Promise.all(others.map(delivery.deliver));
    expect(deliveries.map(({ outcome }) => outcome.kind)).toEqual(["SUCCEEDED", "SUCCEEDED"]);
    expect(isHungDone).toBe(false);
    delivery.close();
    await hung;
  });

  test("that is down makes attempts NOT_SENT at once", async () => {
    const { server, delivery, told } = await start(async ({ messages }) => messages.map(succeeded));
    expect((await delivery.deliver(attemptOf())).outcome.kind).toBe("SUCCEEDED");
    await server.close(0);
    const startedMs = performance.now();
    const failed = await delivery.deliver(attemptOf({ timeoutMs: 40_000 }));
    expect(failed).toMatchObject({ outcome: { kind: "NOT_SENT" }, error: /cannot be reached/ });
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    expect(told).toEqual(["redis failed"]);
  });

  test("whose host swallows everything makes attempts NOT_SENT at the time limit", async () => {
    const proxy = await startTcpProxy(1);
    cleanUp.push(proxy.stop);
    proxy.blackhole();
    const { delivery } = connect(proxy.port);
    const { outcome } = await delivery.deliver(attemptOf({ timeoutMs: 300 }));
    expect(outcome.kind).toBe("NOT_SENT");
  });

  test("that fails tells so, and tells when it works again", async () => {
    let isBroken = true;
    const { delivery, told } = await start(async ({ messages }) => {
      if (isBroken) throw new Error("broken");
      return messages.map(succeeded);
    });
    const broken = await delivery.deliver(attemptOf());
    expect(broken).toMatchObject({ outcome: { kind: "UNKNOWN" }, error: /may have been written/ });
    isBroken = false;
    await delivery.deliver(attemptOf());
    await delivery.deliver(attemptOf());
    expect(told).toEqual(["redis failed", "redis works after 1"]);
  });

  test("that has no such plugin makes attempts NOT_SENT, and so does the lack of any service", async () => {
    const { delivery } = await start(async () => {
      throw failure("PLUGIN_NOT_AVAILABLE", { plugin: "Redis" });
    });
    const words = { outcome: { kind: "NOT_SENT" }, error: /operator .* has not set up the Redis plugin/ };
    expect(await delivery.deliver(attemptOf())).toMatchObject(words);
    const none = createPluginDelivery({ client: undefined, onFailed: () => {}, onRecovered: () => {} });
    expect(await none.deliver(attemptOf())).toMatchObject(words);
  });

  test("that nobody uses gets no connection", async () => {
    const proxy = await startTcpProxy(1);
    cleanUp.push(proxy.stop);
    const { delivery } = connect(proxy.port);
    await new Promise((resolve) => setImmediate(resolve));
    expect(proxy.opened).toBe(0);
    await delivery.deliver(attemptOf({ timeoutMs: 300 }));
    expect(proxy.opened).toBeGreaterThan(0);
  });
});
