import { fork } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { create } from "@bufbuild/protobuf";
import { redisUrl } from "../dev/redis-server.ts";
import {
  type Message,
  MessageSchema,
  PluginsService,
} from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { AttemptOutcome } from "../gen/easycron/v1/trigger_pb.ts";
import { createGrpcClient, type GrpcClient } from "../mesh/grpc-client.ts";
import { kafkaTopic, at as onceAt, redisStream } from "../sdk/index.ts";
import type { TargetInput } from "../sdk/resources.ts";
import { type BareBroker, openKafka, openRedis } from "./brokers.ts";
import { type Product, startProduct } from "./product.ts";
import { at, nextMessage } from "./programs.ts";
import { type Findings, median, type Row } from "./report.ts";

export const title =
  "messages a second into a Redis stream and into a Kafka topic: a bare client and plugin delivery alternate, medians of 3 runs each; then 10,000 jobs due at once";

const MESSAGES = 10_000;
const BATCH = 500;
/** As many calls as the dispatcher has under way of one project to one plugin. The bare client has as many batches. */
const IN_FLIGHT = 2;
const RUNS = 3;
const JOBS = 10_000;
/** A batch of the public API. */
const JOBS_PER_CALL = 1_000;
const LEAD_MS = 40_000;
const DEADLINE_MS = 30_000;

interface Kind {
  readonly name: "redis" | "kafka";
  readonly target: TargetInput;
  readonly bare: BareBroker;
}

/** Measures both kinds, one after the other, on one product with its own brokers. */
export async function run(): Promise<Findings> {
  const product = await startProduct(["--with", "redis,kafka"]);
  const env = brokersOf(product);
  const plugins = fork(resolve(import.meta.dirname, "../plugins/main.ts"), {
    env: { PATH: process.env.PATH ?? "", EASYCRON_PLUGINS_LISTEN: "127.0.0.1:0", ...env },
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const { port } = await nextMessage<{ port: number }>(plugins);
  const delivery = createGrpcClient(PluginsService, {
    addresses: [`127.0.0.1:${port}`],
    deadlineMs: DEADLINE_MS,
  });
  const kinds: Kind[] = [
    { name: "redis", target: redisStream("orders"), bare: openRedis(env.EASYCRON_PLUGINS_REDIS_URL) },
    {
      name: "kafka",
      target: kafkaTopic("orders"),
      bare: await openKafka({
        brokers: env.EASYCRON_PLUGINS_KAFKA_BROKERS,
        username: env.EASYCRON_PLUGINS_KAFKA_USERNAME,
        password: env.EASYCRON_PLUGINS_KAFKA_PASSWORD,
      }),
    },
  ];
  try {
    // Room for all messages of all runs, and for their guards.
    const limits = { maxBytes: 2 ** 30, maxKeys: 10_000_000 };
    await product.client.plugins.enable("REDIS", { limits });
    await product.client.plugins.enable("KAFKA", { topics: [{ name: "orders" }, { name: "bare" }] });
    const rows: Row[] = [];
    for (const kind of kinds) {
      rows.push(...(await measure(kind, product, delivery)));
      await kind.bare.close();
    }
    return { rows };
  } finally {
    delivery.close();
    plugins.kill();
    await product.stop();
  }
}

function brokersOf({ data }: Product) {
  const { brokers } = JSON.parse(readFileSync(join(data, "keys.json"), "utf8")) as {
    brokers: Record<"redis" | "kafka", { port: number; password: string }>;
  };
  const { port, password: adminPassword } = brokers.redis;
  return {
    EASYCRON_PLUGINS_REDIS_URL: redisUrl({ port, adminPassword }),
    EASYCRON_PLUGINS_KAFKA_BROKERS: `127.0.0.1:${brokers.kafka.port}`,
    EASYCRON_PLUGINS_KAFKA_USERNAME: "admin",
    EASYCRON_PLUGINS_KAFKA_PASSWORD: brokers.kafka.password,
  };
}

async function measure(
  { name, target, bare }: Kind,
  product: Product,
  delivery: GrpcClient<typeof PluginsService>,
): Promise<Row[]> {
  const { project } = product;
  const viaDelivery = async (messages: readonly Message[]) => {
    const { deliveries } = await delivery.deliver({ projectId: project, messages: [...messages] });
    const failed = deliveries.find(({ outcome }) => outcome !== AttemptOutcome.SUCCEEDED);
    if (failed !== undefined) throw new Error(`A message was not delivered: ${failed.error}`);
  };
  const bareRates: number[] = [];
  const rates: number[] = [];
  // The first run of each warms up.
  for (let turn = 0; turn <= RUNS; turn++) {
    bareRates.push(await rateOf(makeMessages(name), (batch) => bare.write(project, batch)));
    rates.push(await rateOf(makeMessages(name), viaDelivery));
  }
  const floor = median(bareRates.slice(1));
  const ours = median(rates.slice(1));
  const whole = await measureProduct({ name, target, bare }, product);
  return [
    { name: `${name}, bare client`, perSecond: Math.round(floor), ratio: 1 },
    { name: `${name}, plugin delivery`, perSecond: Math.round(ours), ratio: ours / floor },
    { name: `${name}, whole product`, perSecond: Math.round(whole), ratio: whole / floor },
  ];
}

/** Writes messages in batches, several at once, and returns how many were acknowledged a second. */
async function rateOf(
  messages: readonly Message[],
  write: (batch: readonly Message[]) => Promise<void>,
): Promise<number> {
  let next = 0;
  const work = async () => {
    while (next < messages.length) {
      const from = next;
      next += BATCH;
      await write(messages.slice(from, from + BATCH));
    }
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return (messages.length / (performance.now() - startMs)) * 1_000;
}

const secret = randomBytes(32);

function makeMessages(name: "redis" | "kafka"): Message[] {
  return Array.from({ length: MESSAGES }, (_, index) => {
    const triggerId = `trg_${randomBytes(16).toString("hex").slice(0, 26)}`;
    const data = { trigger: triggerId, kind: "SCHEDULED", seq: index, payload: "x".repeat(100) };
    const body = Buffer.from(
      JSON.stringify({ type: "trigger.fired", timestamp: new Date().toISOString(), data }),
    );
    const kind =
      name === "redis"
        ? {
            case: "redis" as const,
            value: { destination: { case: "stream" as const, value: "orders" }, maxLength: 100_000n },
          }
        : { case: "kafka" as const, value: { topic: "orders", key: "{{job.uid}}" } };
    return create(MessageSchema, {
      triggerId,
      target: { kind },
      body,
      jobName: `bench-${index}`,
      jobUid: `job_${index}`,
      fireTime: new Date().toISOString(),
      webhookTimestamp: BigInt(Math.floor(Date.now() / 1_000)),
      webhookSignature: `v1,${createHmac("sha256", secret).update(body).digest("base64")}`,
      guard: `${triggerId}.0`,
      guardTtlMs: 3_600_000n,
    });
  });
}

/** Lets jobs be due at one instant, and returns how many arrived a second from that instant until the last one. */
async function measureProduct({ name, target, bare }: Kind, { client, project }: Product): Promise<number> {
  const before = await bare.count(project);
  const createdMs = Date.now();
  const dueMs = createdMs + LEAD_MS;
  for (let from = 0; from < JOBS; from += JOBS_PER_CALL) {
    const jobs = Array.from({ length: JOBS_PER_CALL }, (_, index) => ({
      name: `${name}-${from + index}`,
      schedule: onceAt(new Date(dueMs)),
      target,
      payload: "x".repeat(100),
    }));
    await client.jobs.batchCreate(jobs, { timeoutMs: DEADLINE_MS });
  }
  if (Date.now() > dueMs - 2_000)
    throw new Error(`Creating ${JOBS} jobs took ${Date.now() - createdMs} ms; this machine is too slow.`);
  await at(dueMs);
  for (;;) {
    const missing = JOBS - (await bare.count(project)) + before;
    if (missing <= 0) break;
    if (Date.now() > dueMs + ARRIVE_WITHIN_MS)
      throw new Error(`${missing} triggers have not arrived in ${name}.`);
    await at(Date.now() + POLL_MS);
  }
  return (JOBS / (Date.now() - dueMs)) * 1_000;
}

const POLL_MS = 20;
const ARRIVE_WITHIN_MS = 90_000;
