import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterEach, expect, test } from "vitest";
import { startTelemetry } from "../mesh/telemetry.ts";
import { readTelemetrySettings } from "../mesh/telemetry-settings.ts";
import { PROJECT_KEY, startGateway } from "./testing/start-gateway.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const getJob = async () => ({ response: { job: { name: "a" } } });

/** Calls a gateway with this sampler and flag. Returns the flag that it answers and how many spans it recorded. */
async function call(env: Record<string, string>, flag: string) {
  const exporter = new InMemorySpanExporter();
  const telemetry = await startTelemetry({
    service: "gateway",
    settings: readTelemetrySettings(env),
    logger: { warn: () => {}, error: () => {} },
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  const gateway = await startGateway({ scheduler: { getJob }, telemetry });
  cleanUp.push(telemetry.close, () => gateway.close());
  const answer = await fetch(`${gateway.url}/easycron.v1.JobService/GetJob`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${PROJECT_KEY}`,
      "content-type": "application/json",
      traceparent: `00-${TRACE}-b7ad6b7169203331-${flag}`,
    },
    body: '{"name":"a"}',
  });
  await answer.text();
  const [, traceId, , answered] = answer.headers.get("traceresponse")?.split("-") ?? [];
  expect(traceId).toBe(TRACE);
  // The listener ends the span when the response is closed, a moment after the caller has it.
  await gateway.close();
  return { flag: answered, spans: exporter.getFinishedSpans().length };
}

const ratio = (ratio: string) => ({
  OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
  OTEL_TRACES_SAMPLER_ARG: ratio,
});

test.each([
  ["sampler that keeps nothing", { OTEL_TRACES_SAMPLER: "parentbased_always_off" }],
  ["ratio that leaves its trace out", ratio("0.000001")],
])("a caller's flag does not make the gateway record with a %s", async (_, env) => {
  expect(await call(env, "01")).toEqual({ flag: "00", spans: 0 });
});

test.each([
  ["sampler that keeps everything", { OTEL_TRACES_SAMPLER: "parentbased_always_on" }],
  ["ratio that keeps its trace", ratio("1")],
])("a caller's flag decides with a %s", async (_, env) => {
  expect(await call(env, "01")).toEqual({ flag: "01", spans: 1 });
  expect(await call(env, "00")).toEqual({ flag: "00", spans: 0 });
});
