import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTopic, withAdmin } from "../../plugins/kafka/testing/clients.ts";
import { cron, kafkaTopic, redisList, redisStream, triggerId } from "../../sdk/index.ts";
import type { TargetInput } from "../../sdk/resources.ts";
import type { SharedKafka } from "../support/kafka.ts";
import type { Mesh } from "../support/mesh.ts";
import { hasSockets, readConnections } from "../support/sockets.ts";
import {
  type Access,
  addTenant,
  enable,
  hasBothBrokers,
  startWithBrokers,
  type Tenant,
} from "./plugins-scene.ts";
import { expectTheWall } from "./plugins-wall.ts";

const JOBS = 500;
const FIRES = 20;
const TOTAL = JOBS * FIRES;
/** Some of the jobs push to a list, too. */
const LIST_JOBS = 50;
/** How long all that is waited for may take. */
const WITHIN = { timeout: 240_000, interval: 500 };

let mesh: Mesh;
let tenant: Tenant;
let redis: Access;
let kafka: Access;
let admin: Redis;
let broker: SharedKafka;

describe.runIf(hasBothBrokers())("while triggers flow into both plugins", () => {
  beforeAll(async () => {
    mesh = await startWithBrokers();
    tenant = await addTenant(mesh);
    redis = await enable(tenant, "REDIS");
    kafka = await enable(tenant, "KAFKA");
    const env = mesh.pluginsEnv;
    // The brokers' users are made again some time after a restart. The administrator sees at once what arrives.
    admin = new Redis(env.EASYCRON_PLUGINS_REDIS_URL ?? "", { retryStrategy: () => 100 });
    admin.on("error", () => {});
    broker = {
      brokers: env.EASYCRON_PLUGINS_KAFKA_BROKERS ?? "",
      username: env.EASYCRON_PLUGINS_KAFKA_USERNAME ?? "",
      password: env.EASYCRON_PLUGINS_KAFKA_PASSWORD ?? "",
    };
  }, 120_000);
  afterAll(async () => {
    admin?.disconnect();
    await mesh?.stop();
  }, 60_000);

  test("none of 10,000 is lost when brokers and plugin delivery are killed, and Redis has no copy", async () => {
    const stream = await createFleet("stream", JOBS, redisStream("orders"));
    const list = await createFleet("list", LIST_JOBS, redisList("queue"));
    const topic = await createFleet("topic", JOBS, kafkaTopic("orders"));

    await expect.poll(streamLength, WITHIN).toBeGreaterThan(TOTAL * 0.1);
    await expect.poll(topicLength, WITHIN).toBeGreaterThan(TOTAL * 0.1);
    if (hasSockets) expectTheWall(readConnections(mesh.pids()));

    await expect.poll(streamLength, WITHIN).toBeGreaterThan(TOTAL * 0.3);
    await mesh.kill9("redis", 0);
    await expect.poll(topicLength, WITHIN).toBeGreaterThan(TOTAL * 0.4);
    await mesh.kill9("plugins", 0);
    await expect.poll(topicLength, WITHIN).toBeGreaterThan(TOTAL * 0.5);
    await mesh.kill9("kafka", 0);

    const seen = { stream: [] as string[], list: [] as string[], topic: [] as string[] };
    const missingOf = async (name: keyof typeof seen, ids: Set<string>, read: () => Promise<string[]>) => {
      seen[name] = await read();
      const arrived = new Set(seen[name]);
      return [...ids].filter((id) => !arrived.has(id)).length;
    };
    await expect.poll(() => missingOf("stream", stream, streamIds), WITHIN).toBe(0);
    await expect.poll(() => missingOf("list", list, listIds), WITHIN).toBe(0);
    await expect.poll(() => missingOf("topic", topic, topicIds), WITHIN).toBe(0);
    // No attempt is left that could still write a copy.
    await expect.poll(statesLeft, WITHIN).toEqual([]);

    const copies = {
      stream: (await streamIds()).length - stream.size,
      list: (await listIds()).length - list.size,
      topic: (await topicIds()).length - topic.size,
    };
    console.log(
      `plugins, killed: ${TOTAL} triggers into each of stream and topic, copies ${JSON.stringify(copies)}`,
    );
    expect(copies).toMatchObject({ stream: 0, list: 0 });
    expect(mesh.output.filter((line) => line.includes("restarting"))).toHaveLength(3);
  }, 400_000);

  test("a customer of the Redis that was killed can use its credentials again", async () => {
    const read = async () => {
      const own = new Redis(redis.credentials.url, {
        retryStrategy: () => null,
        maxRetriesPerRequest: 0,
        enableReadyCheck: false,
      });
      own.on("error", () => {});
      try {
        return await own.xlen(`${redis.prefix}orders`);
      } finally {
        own.disconnect();
      }
    };
    await expect.poll(read, WITHIN).toBe(TOTAL);
  }, 300_000);
});

/** Creates jobs that fire `FIRES` times, once a second, all from the same second on. Returns the ids of all triggers. */
async function createFleet(name: string, count: number, target: TargetInput): Promise<Set<string>> {
  const startMs = Math.ceil((Date.now() + 4_000) / 1_000) * 1_000;
  const endMs = startMs + (FIRES - 1) * 1_000;
  const jobs = await tenant.client.jobs.batchCreate(
    Array.from({ length: count }, (_, index) => ({
      name: `${name}-${index}`,
      schedule: cron("* * * * * *", { dialect: "WITH_SECONDS" }),
      startTime: new Date(startMs),
      endTime: new Date(endMs),
      target,
      retryPolicy: { maxAttempts: 20, minBackoff: "1s", maxBackoff: "5s" },
      attemptTimeout: "10s",
    })),
  );
  const ids = new Set<string>();
  for (const { uid: jobUid } of jobs) {
    for (let at = startMs; at <= endMs; at += 1_000)
      ids.add(triggerId({ jobUid, nominalTime: new Date(at) }));
  }
  return ids;
}

const streamLength = () => admin.xlen(`${redis.prefix}orders`);

async function streamIds(): Promise<string[]> {
  const entries = await admin.xrange(`${redis.prefix}orders`, "-", "+");
  return entries.map(([, fields]) => fields[fields.indexOf("id") + 1] ?? "");
}

async function listIds(): Promise<string[]> {
  const items = await admin.lrange(`${redis.prefix}queue`, 0, -1);
  return items.map((item) => (JSON.parse(item) as { id: string }).id);
}

function topicLength(): Promise<number> {
  return withAdmin(broker, async (client) => {
    const partitions = await client.fetchTopicOffsets(`${kafka.prefix}orders`);
    return partitions.reduce((sum, { high }) => sum + Number(high), 0);
  });
}

async function topicIds(): Promise<string[]> {
  const messages = await readTopic(broker, `${kafka.prefix}orders`);
  return messages.map(({ headers }) => headers["webhook-id"] ?? "");
}

/** Returns a trigger of each state other than SUCCEEDED. */
async function statesLeft(): Promise<string[]> {
  const states = ["PENDING", "RUNNING", "RETRYING", "EXHAUSTED", "CANCELLED"] as const;
  const left: string[] = [];
  for (const state of states) {
    for await (const { id } of tenant.client.triggers.list({ state, pageSize: 1 })) {
      left.push(`${id} is ${state}`);
      break;
    }
  }
  return left;
}
