import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import {
  type ReceivedSpan,
  startTraceReceiver,
  type TraceReceiver,
} from "../../dev/traces/trace-receiver.ts";
import { spanIdOf } from "../../mesh/trigger-trace.ts";
import { EasyCron } from "../../sdk/index.ts";
import { type Mesh, startMesh } from "../support/mesh.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

/** In everything that no log line and no span may hold. */
const MARK = "hunter2";

const spans: ReceivedSpan[] = [];
let collector: TraceReceiver;
let receiver: Receiver;
let mesh: Mesh;
let client: EasyCron;

beforeAll(async () => {
  collector = await startTraceReceiver((received) => spans.push(...received));
  receiver = await startReceiver();
  mesh = await startMesh({
    preparedData: inject("easycronPostgres").preparedData,
    env: {
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: "50",
      EASYCRON_LOG_LEVEL: "debug",
      EASYCRON_METRICS_LISTEN: "127.0.0.1:0",
      EASYCRON_METRICS_BY_PROJECT: "on",
    },
  });
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});

afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
  await collector?.close();
});

/**
 * Waits for the spans of a trace that are as wanted, and returns all of them in the order of their starts. Spans with one
 * id are returned once: a trigger may be handed over twice.
 */
async function traced(traceId: string, wanted: (name: string, number: unknown) => boolean) {
  const own = () => [
    ...new Map(spans.filter((span) => span.traceId === traceId).map((span) => [span.spanId, span])).values(),
  ];
  const isThere = () =>
    own().some(({ name, attributes }) => wanted(name, attributes["easycron.attempt.number"]));
  await expect.poll(isThere, { timeout: 40_000 }).toBe(true);
  return own().sort((a, b) => a.startMs - b.startMs);
}

test("two attempts of a trigger, with a dispatcher killed in between, are one tree", async () => {
  receiver.answer(`/killed?secret=${MARK}-url`, (number) => ({
    status: number === 1 ? 500 : 204,
    body: `${MARK}-answer`,
  }));
  await client.jobs.create({
    name: "killed",
    target: {
      webhook: {
        url: `${receiver.url}/killed?secret=${MARK}-url`,
        headers: { "x-secret": `${MARK}-header` },
        auth: { bearer: { token: `${MARK}-token` } },
      },
    },
    payload: { secret: `${MARK}-payload` },
    retryPolicy: { delays: ["3s"] },
  });
  const { id } = await client.jobs.run("killed");
  const { traceId } = await client.triggers.get(id);
  await traced(traceId, (name, number) => name === "record" && number === 1);
  await mesh.kill9("dispatcher", 0);
  const tree = await traced(traceId, (name, number) => name === "record" && number === 2);

  const roots = tree.filter(({ parentId }) => parentId === "");
  expect(roots).toMatchObject([{ name: "trigger", service: "easycron-scheduler" }]);
  const ids = new Set(tree.map(({ spanId }) => spanId));
  expect(tree.filter(({ parentId }) => parentId !== "" && !ids.has(parentId))).toEqual([]);
  expect(tree.map(({ name }) => name).sort()).toEqual(
    [
      "POST webhook",
      "POST webhook",
      "accept",
      "claim",
      "claim",
      "hand over",
      "record",
      "record",
      "trigger",
    ].sort(),
  );
  for (const { attributes } of tree) expect(attributes["easycron.trigger.id"]).toBe(id);
  const attempts = tree.filter(({ name }) => name === "POST webhook");
  expect(
    attempts.map(({ hasFailed, attributes }) => [hasFailed, attributes["http.response.status_code"]]),
  ).toEqual([
    [true, 500],
    [false, 204],
  ]);

  const [root] = roots;
  const made = root?.links.find(({ relation }) => relation === "made the job's revision");
  const call = await traced(made?.traceId ?? "", (name) => name === "jobsInsert");
  const names = call.map(({ service, name }) => `${service} ${name}`);
  expect(names).toEqual(
    expect.arrayContaining([
      "easycron-gateway easycron.v1.JobService/CreateJob",
      "easycron-scheduler easycron.internal.scheduler.v1.SchedulerService/CreateJob",
      "easycron-scheduler jobsInsert",
    ]),
  );
  const within = new Set(call.map(({ spanId }) => spanId));
  expect(call.filter(({ parentId }) => !within.has(parentId)).map(({ name }) => name)).toEqual([
    "easycron.v1.JobService/CreateJob",
  ]);

  // The receiver's own spans would lie within the attempts.
  const traceparents = receiver.requests
    .filter(({ job }) => job === "killed")
    .map(({ headers }) => headers.traceparent);
  expect(traceparents).toEqual(
    [1, 2].map((number) => `00-${traceId}-${spanIdOf(id, `attempt ${number}`)}-01`),
  );
});

/** Reads the metrics of the process that writes this log now. */
async function metricsOf(log: string): Promise<string> {
  const port = [...log.matchAll(/"metricsPort":(\d+)/g)].at(-1)?.[1];
  return port === undefined ? "" : (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

test("no log line, no span and no metric holds a secret or a payload", async () => {
  await client.signingKeys.create({});
  const names = await readdir(mesh.logFolder);
  const logs = await Promise.all(names.map((name) => readFile(join(mesh.logFolder, name), "utf8")));
  const metrics = await Promise.all(logs.map(metricsOf));
  const all = [...logs, ...metrics, JSON.stringify(spans)].join("");
  expect(all).toContain("serving");
  expect(all).toContain("easycron_attempt_duration_seconds_count");
  const secret = mesh.signingSecret.replace(/^whsec_/, "");
  for (const hidden of [MARK, mesh.apiKey, mesh.operatorKey, secret]) expect(all).not.toContain(hidden);
});
