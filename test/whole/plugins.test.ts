import { once } from "node:events";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectProducer, readTopic } from "../../plugins/kafka/testing/clients.ts";
import { cron, kafkaTopic, redisChannel, redisKey, redisList, redisStream } from "../../sdk/index.ts";
import { readTrigger as readKafkaTrigger } from "../../sdk/kafka.ts";
import { readTrigger as readRedisTrigger } from "../../sdk/redis.ts";
import type { PluginCredentials } from "../../sdk/resources.ts";
import type { Mesh } from "../support/mesh.ts";
import {
  type Access,
  addTenant,
  enable,
  hasBothBrokers,
  startWithBrokers,
  type Tenant,
} from "./plugins-scene.ts";

interface Customer extends Tenant {
  readonly redis: Access;
  readonly kafka: Access;
}

const EVERY_SECOND = cron("* * * * * *", { dialect: "WITH_SECONDS" });
const OVERLAP_MS = 3_000;

let mesh: Mesh;
let customers: readonly Customer[];
const clients: Redis[] = [];

/** Connects as a customer does. The connection does not open itself again. */
function connect({ url }: PluginCredentials): Redis {
  const redis = new Redis(url, {
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
  });
  redis.on("error", () => {});
  clients.push(redis);
  return redis;
}

function toKafka({ url, username, password }: PluginCredentials) {
  return { brokers: url, username, password };
}

describe.runIf(hasBothBrokers())("the plugins through the whole product", () => {
  beforeAll(async () => {
    mesh = await startWithBrokers();
    const tenants = [await addTenant(mesh), await addTenant(mesh)];
    await expect(
      tenants[0]?.client.jobs.create({ name: "early", target: redisStream("orders") }),
    ).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    customers = await Promise.all(
      tenants.map(async (tenant) => ({
        ...tenant,
        redis: await enable(tenant, "REDIS"),
        kafka: await enable(tenant, "KAFKA"),
      })),
    );
  }, 120_000);
  afterAll(async () => {
    for (const client of clients) client.disconnect();
    await mesh?.stop();
  }, 60_000);

  test("a job for each kind of place arrives there, for both projects, and the SDK verifies it", async () => {
    await Promise.all(customers.map(expectArrivals));
  });

  test("after a rotation the old credentials and their connections end with the overlap", async () => {
    const [customer] = customers;
    if (customer === undefined) throw new Error("There is no customer.");
    await Promise.all([expectRedisRotation(customer), expectKafkaRotation(customer)]);
  });

  test("a plugin in use is disabled only by force, which pauses its jobs and ends its connections", async () => {
    const [, customer] = customers;
    if (customer === undefined) throw new Error("There is no customer.");
    const { client, redis } = customer;
    await client.jobs.create({ name: "user", schedule: EVERY_SECOND, target: redisStream("used") });
    await expect(client.plugins.disable("REDIS")).rejects.toMatchObject({ reason: "PLUGIN_IN_USE" });
    const open = connect(redis.credentials);
    await open.ping();
    const closed = once(open, "close");
    const { plugin, pausedJobs } = await client.plugins.disable("REDIS", { force: true });
    expect(plugin.state).toBe("DISABLED");
    expect(pausedJobs).toBe(5);
    await closed;
    expect((await client.jobs.get("user")).state).toBe("PAUSED");
    const another = client.jobs.create({ name: "late", target: redisStream("used") });
    await expect(another).rejects.toMatchObject({ reason: "PLUGIN_NOT_ENABLED" });
    // The other plugin and the other project go on.
    await expect(client.jobs.create({ name: "other", target: kafkaTopic("used") })).resolves.toBeDefined();
    await expect(customers[0]?.client.plugins.get("REDIS")).resolves.toMatchObject({ state: "ENABLED" });
  });
});

/** Creates a job for each kind of place, and expects a trigger of each that has this project's signature. */
async function expectArrivals({ client, project, secret, redis, kafka }: Customer): Promise<void> {
  const own = connect(redis.credentials);
  const subscriber = connect(redis.credentials);
  await subscriber.subscribe(`${redis.prefix}news`);
  const heard = once(subscriber, "message");
  const targets = {
    stream: redisStream("orders"),
    list: redisList("queue"),
    channel: redisChannel("news"),
    key: redisKey("latest"),
    binary: kafkaTopic("binary"),
    structured: kafkaTopic("structured", { contentMode: "STRUCTURED", key: "{{job.name}}" }),
  };
  await client.jobs.batchCreate(
    Object.entries(targets).map(([name, target]) => ({
      name,
      schedule: EVERY_SECOND,
      target,
      payload: { for: project },
    })),
  );
  const readers = {
    stream: async () => {
      const answer = await own.xread("COUNT", 1, "BLOCK", 30_000, "STREAMS", `${redis.prefix}orders`, "0");
      return readRedisTrigger(answer?.[0]?.[1][0] ?? "", secret);
    },
    list: async () => readRedisTrigger((await own.blpop(`${redis.prefix}queue`, 30))?.[1] ?? "", secret),
    channel: async () => readRedisTrigger((await heard)[1], secret),
    key: () => polled(async () => readRedisTrigger((await own.get(`${redis.prefix}latest`)) ?? "", secret)),
    binary: () => polled(() => firstOf(kafka, "binary", secret)),
    structured: () => polled(() => firstOf(kafka, "structured", secret)),
  };
  for (const [job, read] of Object.entries(readers)) {
    const { id, trigger } = await read();
    expect(id).toMatch(/^trg_/);
    expect(trigger).toMatchObject({ project, job: { name: job }, payload: { for: project } });
  }
  // The signature is this project's own.
  const entry = (await own.xrange(`${redis.prefix}orders`, "-", "+", "COUNT", 1))[0] ?? "";
  const other = customers.find((each) => each.project !== project);
  expect(() => readRedisTrigger(entry, other?.secret)).toThrow(/signature/i);
  await client.jobs.batchDelete(["binary", "structured"]);
}

/** Reads until there is something. */
async function polled<T>(read: () => Promise<T>): Promise<T> {
  let value: T | undefined;
  const look = async () => {
    value = await read();
    return true;
  };
  await expect.poll(look, { timeout: 30_000, interval: 250 }).toBe(true);
  return value as T;
}

async function firstOf({ credentials, prefix }: Access, topic: string, secret: string) {
  const [first] = await readTopic(toKafka(credentials), prefix + topic);
  if (first === undefined) throw new Error(`The topic ${topic} is empty.`);
  return readKafkaTrigger(first, secret);
}

async function expectRedisRotation({ client, redis }: Customer): Promise<void> {
  const old = connect(redis.credentials);
  await old.ping();
  const closed = once(old, "close").then(() => Date.now());
  const { credentials } = await client.plugins.rotateCredentials("REDIS", {
    overlap: `${OVERLAP_MS / 1_000}s`,
  });
  const endMs = new Date(credentials.expireTimeOfOld ?? Number.NaN).getTime();
  expect(await old.ping()).toBe("PONG");
  expect(await connect(credentials).set(`${redis.prefix}app:rotated`, "yes")).toBe("OK");
  expect(await closed).toBeGreaterThanOrEqual(endMs);
  await expect(connect(redis.credentials).ping()).rejects.toThrow();
  expect(await connect(credentials).get(`${redis.prefix}app:rotated`)).toBe("yes");
}

async function expectKafkaRotation({ client, kafka }: Customer): Promise<void> {
  const topic = `${kafka.prefix}own`;
  await client.plugins.update("KAFKA", { topics: [{ name: "own" }] });
  const write = (producer: Awaited<ReturnType<typeof connectProducer>>) =>
    producer.send({ topic, acks: -1, messages: [{ value: "v" }] });
  const old = await connectProducer(toKafka(kafka.credentials));
  await polled(() => write(old));
  const { credentials } = await client.plugins.rotateCredentials("KAFKA", {
    overlap: `${OVERLAP_MS / 1_000}s`,
  });
  const endMs = new Date(credentials.expireTimeOfOld ?? Number.NaN).getTime();
  const young = await polled(() => connectProducer(toKafka(credentials)));
  await write(young);
  // The connection that is open is of no use any more.
  const refusedMs = await polled(async () => {
    await expect(write(old)).rejects.toThrow();
    return Date.now();
  });
  expect(refusedMs).toBeGreaterThanOrEqual(endMs);
  // Its rights end first. A moment later, its password ends too.
  await polled(() => expect(connectProducer(toKafka(kafka.credentials))).rejects.toThrow());
  await write(young);
  await Promise.all([old.disconnect(), young.disconnect()]);
}
