import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { EasyCron, type NamedJobInput } from "../../sdk/index.ts";
import { type Mesh, startMesh } from "../support/mesh.ts";
import { METRIC_TABLES, readSamples, type Sample, toPrometheusName } from "../support/metric-tables.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { hasRedis } from "../support/redis.ts";

let mesh: Mesh;
let receiver: Receiver;
let failing: Receiver;
let client: EasyCron;

beforeAll(async () => {
  receiver = await startReceiver();
  failing = await startReceiver();
  mesh = await startMesh({
    preparedData: inject("easycronPostgres").preparedData,
    env: { EASYCRON_METRICS_LISTEN: "127.0.0.1:0", EASYCRON_METRICS_BY_PROJECT: "on" },
    dispatchers: 2,
    brokers: hasRedis() ? ["redis"] : [],
  });
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});
afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
  await failing?.stop();
});

const PROCESSES = ["gateway-0", "scheduler-0", "dispatcher-0", "dispatcher-1", "plugins-0"];

/** Returns the port at which the process that writes this log now serves its metrics. */
async function portOf(process: string): Promise<number> {
  const log = await readFile(join(mesh.logFolder, `${process}.log`), "utf8");
  return Number([...log.matchAll(/"metricsPort":(\d+)/g)].at(-1)?.[1]);
}

async function ask(process: string, path: string) {
  const response = await fetch(`http://127.0.0.1:${await portOf(process)}${path}`);
  return { status: response.status, text: await response.text() };
}

async function readAll(): Promise<Sample[]> {
  const texts = await Promise.all(PROCESSES.map(async (name) => (await ask(name, "/metrics")).text));
  return texts.flatMap(readSamples);
}

/** Waits until what all processes measure together is as wanted. */
const until = (wanted: (samples: readonly Sample[]) => boolean) =>
  expect.poll(async () => wanted(await readAll()), { timeout: 60_000, interval: 500 }).toBe(true);

/** Adds up the samples of a name with these labels. */
function sum(samples: readonly Sample[], name: string, labels: Record<string, string> = {}): number {
  return samples
    .filter((each) => each.name === name)
    .filter((each) => Object.entries(labels).every(([key, value]) => each.labels[key] === value))
    .reduce((total, { value }) => total + value, 0);
}

const secondly = [{ cron: { expression: "* * * * * *", dialect: "WITH_SECONDS" as const } }];
const to = (at: Receiver, name: string) => ({ webhook: { url: `${at.url}/${name}` } });
const create = (name: string, fields: Omit<NamedJobInput, "name" | "target">, at = receiver) =>
  client.jobs.create({ name, target: to(at, name), ...fields });

/** What only an outage, a fault, a month or the right moment moves; the tests that show that it does are named. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  // scheduler/measuring/measure-scheduler.test.ts
  "easycron.fire_time.missed",
  "easycron.scheduler.set_aside",
  "easycron.audit.differences",
  // dispatcher/measuring/measure-events.test.ts
  "easycron.alert.held",
  "easycron.dispatcher.set_aside",
  "easycron.partition.missing",
  "easycron.live_triggers.differences",
  "easycron.trigger.removed",
  // db/pool-metrics.test.ts
  "db.client.connection.pending_requests",
  "easycron.database.unanswered.age",
  // dispatcher/measuring/measure-work.test.ts
  "easycron.results.waiting",
  "easycron.results.oldest.age",
  // dispatcher/measuring/backlog.test.ts
  "easycron.backlog.triggers",
  "easycron.backlog.oldest.age",
  // The test below that stops PostgreSQL.
  "easycron.dispatcher.failures",
]);

const HELD = "easycron_held_triggers";
const PLUGIN_NAMES = new Set(Object.values(METRIC_TABLES.Plugins ?? {}).map(({ name }) => name));

/** Whether a metric has been measured: a gauge is above 0, something is counted. */
function hasMoved(samples: readonly Sample[], metric: { name: string; type: string; unit: string }): boolean {
  const name = toPrometheusName(metric);
  if (metric.type === "gauge") return samples.some((each) => each.name === name && each.value > 0);
  return sum(samples, metric.type === "counter" ? `${name}_total` : `${name}_count`) > 0;
}

test("every metric of the tables moves in the running product", { timeout: 120_000 }, async () => {
  await create("ticker", { schedules: secondly });
  // A trigger that fails for good, its alert, and an origin that fails until it is left alone.
  failing.answer("/billing", () => ({ status: 500 }));
  await create(
    "billing",
    { retryPolicy: { delays: ["1s"], maxAttempts: 2 }, alerts: { target: to(receiver, "alerts") } },
    failing,
  );
  for (let run = 0; run < 12; run++) await client.jobs.run("billing");
  // Limits of the customer.
  await create("slow", { schedules: secondly, flow: { key: "one", maxInFlight: 1 } });
  receiver.answer("/slow", async () => {
    await new Promise((resolve) => setTimeout(resolve, 800));
    return { status: 200 };
  });
  for (let run = 0; run < 4; run++) await client.jobs.run("slow");
  // A dispatcher that dies: its triggers are taken over, and a new process takes a lease. Which jobs are its is random, so
  // there are many.
  for (let job = 0; job < 16; job++) await create(`ticker-${job}`, { schedules: secondly });
  await expect
    .poll(async () => sum(readSamples((await ask("dispatcher-1", "/metrics")).text), HELD), {
      timeout: 20_000,
    })
    .toBeGreaterThan(3);
  await mesh.kill9("dispatcher", 1);
  await mesh.untilReady("dispatcher", 1);
  // Work that is acknowledged, and work that is not.
  await create("worker", { acknowledgement: { deadline: "600s" } });
  const { id } = await client.jobs.run("worker");
  const { headers } = await receiver.waitFor((requests) => requests.find((request) => request.id === id));
  const acknowledgeUrl = String(headers["easycron-ack-url"]);
  await expect
    .poll(async () => (await fetch(acknowledgeUrl, { method: "POST" })).status, { timeout: 20_000 })
    .toBe(200);
  await create("forgetful", { acknowledgement: { deadline: "1s" }, retryPolicy: { maxAttempts: 1 } });
  await client.jobs.run("forgetful");
  if (hasRedis()) {
    await client.plugins.enable("REDIS");
    await client.jobs.create({
      name: "stream",
      schedules: secondly,
      target: { redis: { stream: "s" } },
    });
  }
  // Gauges come and go, so each has to be seen once only.
  let wanted = Object.values(METRIC_TABLES)
    .flatMap((table) => Object.values(table))
    .filter(({ name }) => !ELSEWHERE.has(name) && (hasRedis() || !PLUGIN_NAMES.has(name)));
  const missing = async () => {
    const samples = await readAll();
    wanted = wanted.filter((metric) => !hasMoved(samples, metric));
    return wanted.map(({ name }) => name);
  };
  await expect.poll(missing, { timeout: 90_000, interval: 1_000 }).toEqual([]);
  const samples = await readAll();
  expect(
    sum(samples, "easycron_trigger_ended_total", { easycron_trigger_state: "EXHAUSTED" }),
  ).toBeGreaterThan(0);
  expect(
    sum(samples, "easycron_trigger_lateness_seconds_count", { easycron_part: "theirs" }),
  ).toBeGreaterThan(0);
  expect(
    sum(samples, "easycron_breaker_changes_total", { easycron_breaker_state: "BLOCKED" }),
  ).toBeGreaterThan(0);
  expect(sum(samples, "easycron_ready")).toBe(PROCESSES.length);
});

test("no attribute is missing in its table, and none has the id of a job or a trigger", async () => {
  const samples = await readAll();
  const known = new Map(
    Object.values(METRIC_TABLES).flatMap((table) =>
      Object.values(table).map((metric) => [
        toPrometheusName(metric),
        new Set(metric.attributes.map((name) => name.replaceAll(".", "_"))),
      ]),
    ),
  );
  for (const { name, labels } of samples) {
    if (name === "target_info") continue;
    const own = known.get(name) ?? known.get(name.replace(/_(total|bucket|sum|count)$/, ""));
    expect(own, name).toBeDefined();
    for (const [label, value] of Object.entries(labels)) {
      if (label !== "le") expect(own, name).toContain(label);
      expect(value).not.toMatch(/\b(trg|job|att|inst)_[0-9a-z]{10}/);
    }
  }
  expect(samples.some(({ labels }) => labels.easycron_project_id === mesh.project)).toBe(true);
});

test("each process says that it is alive and serves", async () => {
  for (const process of PROCESSES) {
    expect(await ask(process, "/healthz")).toMatchObject({ status: 200 });
    const { status, text } = await ask(process, "/readyz");
    // Warnings may follow.
    expect({ status, firstLine: text.split("\n")[0] }).toEqual({
      status: 200,
      firstLine: "The process serves.",
    });
    expect(await ask(process, "/other")).toMatchObject({ status: 404 });
  }
});

test("each process that needs PostgreSQL says that it does not serve without it, and why", async () => {
  const pid = mesh.pids().postgres?.[0];
  if (pid === undefined) throw new Error("There is no PostgreSQL of ours.");
  // Its children are the connections.
  const signal = (name: "STOP" | "CONT") => {
    process.kill(pid, `SIG${name}`);
    spawnSync("pkill", [`-${name}`, "-P", String(pid)]);
  };
  signal("STOP");
  try {
    const reasons: [string, RegExp][] = [
      ["gateway-0", /PostgreSQL has not completed for \d+ ms/],
      ["scheduler-0", /tick has not completed for \d+ ms/],
      ["dispatcher-0", /The lease has run out/],
    ];
    for (const [name, reason] of reasons) {
      await expect
        .poll(() => ask(name, "/readyz"), { timeout: 30_000 })
        .toMatchObject({ status: 503, text: expect.stringMatching(reason) });
      expect((await ask(name, "/healthz")).status).toBe(200);
    }
  } finally {
    signal("CONT");
  }
  for (const name of ["gateway-0", "scheduler-0", "dispatcher-0"]) {
    await expect.poll(() => ask(name, "/readyz"), { timeout: 30_000 }).toMatchObject({ status: 200 });
  }
  await until(
    (samples) =>
      sum(samples, "easycron_lease_changes_total", { easycron_result: "lost" }) > 0 &&
      sum(samples, "easycron_dispatcher_failures_total") > 0,
  );
});
