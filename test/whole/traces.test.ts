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
    env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "50" },
  });
  client = new EasyCron({ url: mesh.url, apiKey: mesh.apiKey });
});

afterAll(async () => {
  await mesh?.stop();
  await receiver?.stop();
  await collector?.close();
});

/** Waits for the spans of a trace that are as wanted, and returns all of them in the order of their starts. */
async function traced(traceId: string, wanted: (name: string, number: unknown) => boolean) {
  const own = () => spans.filter((span) => span.traceId === traceId);
  const isThere = () =>
    own().some(({ name, attributes }) => wanted(name, attributes["easycron.attempt.number"]));
  await expect.poll(isThere, { timeout: 40_000 }).toBe(true);
  return own().sort((a, b) => a.startMs - b.startMs);
}

test("two attempts of a trigger, with a dispatcher killed in between, are one tree", async () => {
  receiver.answer("/killed?secret=in-the-url", (number) => ({ status: number === 1 ? 500 : 204 }));
  await client.jobs.create({
    name: "killed",
    target: { webhook: { url: `${receiver.url}/killed?secret=in-the-url` } },
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
  expect(ids.size).toBe(tree.length);
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

  // The receiver's own spans would lie within the attempts.
  const traceparents = receiver.requests
    .filter(({ job }) => job === "killed")
    .map(({ headers }) => headers.traceparent);
  expect(traceparents).toEqual(
    [1, 2].map((number) => `00-${traceId}-${spanIdOf(id, `attempt ${number}`)}-01`),
  );
});
