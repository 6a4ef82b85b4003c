import pg from "pg";
import { expect, test } from "vitest";
import { ensureProject } from "../../dev/demo.ts";
import { EasyCron } from "../../sdk/index.ts";
import { startTestKafka, whyNoTestKafka } from "../support/kafka.ts";
import { reached } from "../support/reached.ts";
import { hasRedis, startTestRedis } from "../support/redis.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { type FaultScene, nextSecond, openFaultScene } from "./scene.ts";

/** Projects that use a plugin besides the one that is looked at. */
const OTHERS = 5;
/** Jobs of each kind in a project; each fires every second. */
const EACH = 8;
const FOR_MS = 6_000;

const hasBoth = hasRedis() && whyNoTestKafka() === undefined;
if (!hasBoth) process.stderr.write("The test of plugins apart is skipped: it needs a Redis and a Kafka.\n");

/** How the triggers of one kind of job started in a time span. */
interface Account {
  readonly count: number;
  readonly succeeded: number;
  /** The largest lateness of the start of an attempt, in milliseconds; of those that have started. */
  readonly worstMs: number;
}

test.runIf(hasBoth)(
  "a Redis that hangs, and then a Kafka that is dead, delay no webhook and nothing of the other plugin",
  async () => {
    const redis = await startTestRedis();
    const kafka = await startTestKafka();
    const proxy = await startTcpProxy(redis.port);
    const url = new URL(redis.url);
    url.port = String(proxy.port);
    try {
      await using scene = await openFaultScene({
        env: {
          EASYCRON_PLUGINS_REDIS_URL: url.href,
          EASYCRON_PLUGINS_KAFKA_BROKERS: kafka.brokers,
          EASYCRON_PLUGINS_KAFKA_USERNAME: kafka.username,
          EASYCRON_PLUGINS_KAFKA_PASSWORD: kafka.password,
        },
      });
      await createLoad(scene);
      const admin = new pg.Client({ connectionString: scene.mesh.databaseUrl });
      // A test that fails leaves it open until the database ends.
      admin.on("error", () => {});
      await admin.connect();
      const measure = async (what: string) => {
        const startMs = nextSecond(1_000);
        const endMs = startMs + FOR_MS;
        const webhooks = await scene.healthy.between(startMs, endMs);
        await reached(endMs + 1_000);
        const of = (kind: string) => accountOf(admin, kind, startMs, endMs);
        const seen = {
          webhooks,
          same: await of("webhook"),
          redis: await of("redis"),
          kafka: await of("kafka"),
        };
        console.log(`plugins apart, ${what}: ${JSON.stringify(seen)}`);
        return seen;
      };
      await untilDelivered(admin, "redis");
      await untilDelivered(admin, "kafka");

      const before = await measure("both work");
      expectOnTime(before.webhooks, before.same, before.redis, before.kafka);

      proxy.blackhole();
      const hung = await measure("Redis hangs");
      expectOnTime(hung.webhooks, hung.same, hung.kafka);
      expect(hung.redis.succeeded).toBe(0);

      proxy.restore();
      await untilDelivered(admin, "redis");
      await kafka.stop(0);
      const dead = await measure("Kafka is dead");
      expectOnTime(dead.webhooks, dead.same, dead.redis);
      expect(dead.kafka.succeeded).toBe(0);
      await admin.end();
    } finally {
      await kafka.stop(0);
      await proxy.stop();
      await redis.stop();
    }
  },
  400_000,
);

/** Jobs of the troubled project at webhooks and at both plugins, and jobs of other projects at both plugins. */
async function createLoad({ mesh, troubled }: FaultScene): Promise<void> {
  const everySecond = {
    kind: { case: "cron" as const, value: { expression: "* * * * * *", dialect: 2 as const } },
  };
  const targets = {
    webhook: { case: "webhook" as const, value: { url: troubled.receiver.url } },
    redis: {
      case: "redis" as const,
      value: { destination: { case: "stream" as const, value: "orders" }, maxLength: 1_000n },
    },
    kafka: { case: "kafka" as const, value: { topic: "orders" } },
  };
  const create = async (client: EasyCron, kinds: readonly (keyof typeof targets)[]) => {
    const requests = kinds.flatMap((kind) =>
      Array.from({ length: EACH }, (_, index) => ({
        job: { name: `${kind}-${index}`, schedules: [everySecond], target: { kind: targets[kind] } },
      })),
    );
    await client.raw.jobs.batchCreateJobs({ requests });
  };
  const enable = async (client: EasyCron) => {
    await client.plugins.enable("REDIS");
    await client.plugins.enable("KAFKA");
  };
  await enable(troubled.client);
  await create(troubled.client, ["webhook", "redis", "kafka"]);
  for (let each = 0; each < OTHERS; each++) {
    const { apiKey } = await ensureProject(mesh.url, mesh.operatorKey);
    const client = new EasyCron({ url: mesh.url, apiKey });
    await enable(client);
    await create(client, ["redis", "kafka"]);
  }
}

/** Reads how the triggers of all jobs of one kind started whose fire times are in a time span (epoch milliseconds). */
async function accountOf(admin: pg.Client, kind: string, startMs: number, endMs: number): Promise<Account> {
  const { rows } = await admin.query(
    `select count(*)::integer as count, count(*) filter (where state = 'SUCCEEDED')::integer as succeeded,
            coalesce(max(extract(epoch from start_time - effective_time) * 1000)
                     filter (where attempt_count = 1), 0)::integer as worst
       from dispatcher.triggers
      where job_name like $1 and effective_time >= to_timestamp($2) and effective_time < to_timestamp($3)`,
    [`${kind}-%`, startMs / 1_000, endMs / 1_000],
  );
  const { count, succeeded, worst } = rows[0];
  return { count, succeeded, worstMs: worst };
}

async function untilDelivered(admin: pg.Client, kind: string): Promise<void> {
  const fromMs = Date.now();
  const succeeded = async () => (await accountOf(admin, kind, fromMs, fromMs + 600_000)).succeeded;
  await expect.poll(succeeded, { timeout: 60_000, interval: 500 }).toBeGreaterThan(OTHERS * EACH);
}

function expectOnTime(
  webhooks: { readonly worstMs: number; readonly repeated: number },
  ...accounts: readonly Account[]
): void {
  expect(webhooks.repeated).toBe(0);
  expect(webhooks.worstMs).toBeLessThan(1_000);
  for (const { count, succeeded, worstMs } of accounts) {
    expect(count).toBeGreaterThan(0);
    expect(succeeded).toBe(count);
    expect(worstMs).toBeLessThan(1_000);
  }
}
