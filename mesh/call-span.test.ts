import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { afterEach, expect, test } from "vitest";
import { PluginsService } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { failure } from "./errors.ts";
import { createGrpcClientWithHealth } from "./grpc-client.ts";
import { createGrpcServer } from "./grpc-server.ts";
import type { Logger } from "./logger.ts";
import { startTelemetry } from "./telemetry.ts";
import { readTelemetrySettings } from "./telemetry-settings.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const logger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const unused = async (): Promise<never> => {
  throw failure("METHOD_UNIMPLEMENTED", { method: "unused" });
};

/** Starts an inner service with this sampler. Returns its clients, and the names of the spans that it has recorded. */
async function serve(sampler: string) {
  const exporter = new InMemorySpanExporter();
  const { callTracer: tracer, close } = await startTelemetry({
    service: "plugins",
    settings: readTelemetrySettings({ OTEL_TRACES_SAMPLER: sampler }),
    logger,
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  const server = createGrpcServer({ logger, tracer });
  server.add(PluginsService, {
    deliver: unused,
    describePlugins: async () => ({}),
    provision: unused,
    remove: unused,
    measureUsage: unused,
  });
  const port = await server.listen("127.0.0.1:0");
  const options = { addresses: [`127.0.0.1:${port}`], deadlineMs: 3_000 };
  const { client, health } = createGrpcClientWithHealth(PluginsService, options);
  cleanUp.push(
    close,
    () => server.close(0),
    () => client.close(),
  );
  return { client, health, names: () => exporter.getFinishedSpans().map(({ name }) => name) };
}

const NAME = "easycron.internal.plugins.v1.PluginsService/DescribePlugins";

test.each([
  ["parentbased_always_on", [NAME]],
  ["parentbased_always_off", []],
])("with %s the sampler decides for an inner call that no call caused", async (sampler, expected) => {
  const { client, names } = await serve(sampler);
  await client.describePlugins({});
  expect(names()).toEqual(expected);
});

test("with parentbased_always_off a call whose caller records is recorded", async () => {
  const { client, names } = await serve("parentbased_always_off");
  await client.describePlugins(
    {},
    { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
  );
  expect(names()).toEqual([NAME]);
});

test("a check of health has no span", async () => {
  const { client, health, names } = await serve("always_on");
  await health.check({ service: "" });
  await client.describePlugins({});
  expect(names()).toEqual([NAME]);
});
