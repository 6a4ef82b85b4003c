import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { startTelemetry } from "./telemetry.ts";
import { readTelemetrySettings } from "./telemetry-settings.ts";

const closers: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const logger: Record<"warn" | "error", (fields: object) => void> = { warn: () => {}, error: () => {} };

/** Starts a collector that keeps the path of each request, and the URL with which it is configured. */
async function startCollector() {
  const received = new Map<string, Buffer>();
  const server = createServer(async (req, res) => {
    const body = Buffer.concat(await req.toArray());
    received.set(req.url ?? "", body);
    res.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function start(env: Record<string, string>) {
  const telemetry = await startTelemetry({
    service: "dispatcher",
    settings: readTelemetrySettings(env),
    logger,
  });
  closers.push(() => telemetry.close(AbortSignal.abort()));
  return telemetry;
}

test("without configuration the instruments and spans do nothing", async () => {
  const telemetry = await start({});
  expect(telemetry).toMatchObject({ hasMetrics: false, hasTraces: false, readPrometheus: undefined });
  telemetry.meter.createCounter("easycron.test").add(1);
  expect(telemetry.tracer.startSpan("test").isRecording()).toBe(false);
});

test("measures are read in the format of Prometheus", async () => {
  const { meter, readPrometheus } = await start({ EASYCRON_METRICS_LISTEN: "127.0.0.1:0" });
  meter.createCounter("easycron.test", { unit: "{trigger}" }).add(3, { "easycron.kind": "fire" });
  meter.createHistogram("easycron.late", { unit: "s" }).record(0.2);
  const text = await readPrometheus?.();
  expect(text).toContain("easycron_late_seconds_count 1");
  expect(text).toContain('easycron_test_total{easycron_kind="fire"} 3');
  expect(text).toContain('service_name="easycron-dispatcher"');
});

test("measures and spans are sent to the collector when the service ends", async () => {
  const { url, received } = await startCollector();
  const { meter, tracer, close } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: `${url}/` });
  meter.createCounter("easycron.sent").add(1);
  tracer.startSpan("a span that is sent").end();
  await close();
  expect(received.get("/v1/metrics")?.includes("easycron.sent")).toBe(true);
  expect(received.get("/v1/traces")?.includes("a span that is sent")).toBe(true);
});

test("the sampler decides which spans are recorded", async () => {
  const { url } = await startCollector();
  const { tracer } = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_TRACES_SAMPLER: "traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "0",
  });
  expect(tracer.startSpan("left out").isRecording()).toBe(false);
});

test("OTEL_SDK_DISABLED turns everything off", async () => {
  const env = { EASYCRON_METRICS_LISTEN: "127.0.0.1:0", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" };
  const telemetry = await start({ ...env, OTEL_SDK_DISABLED: "true" });
  expect(telemetry).toMatchObject({ hasMetrics: false, hasTraces: false, readPrometheus: undefined });
});

test("a collector that cannot be reached does not hold up the end", async () => {
  const { tracer, close } = await start({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:1/v1/traces",
  });
  tracer.startSpan("lost").end();
  const beganMs = performance.now();
  await close();
  expect(performance.now() - beganMs).toBeLessThan(5_000);
});

test("a collector that does not answer holds up a hurried end for half a second", async () => {
  const server = createServer(() => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const endAfterMs = async (hurry?: AbortSignal) => {
    const { meter, tracer, close } = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: url });
    meter.createCounter("easycron.lost").add(1);
    tracer.startSpan("lost").end();
    const beganMs = performance.now();
    await close(hurry);
    return performance.now() - beganMs;
  };
  expect(await endAfterMs()).toBeGreaterThan(1_900);
  expect(await endAfterMs(AbortSignal.abort())).toBeLessThan(1_500);
  expect(await endAfterMs(AbortSignal.timeout(100))).toBeLessThan(1_500);
});

test("measures that cannot be sent are logged", async () => {
  const logged = new Promise<object>((resolve) => {
    logger.warn = resolve;
  });
  const env = { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://127.0.0.1:1/v1/metrics" };
  const { meter } = await start({ ...env, OTEL_METRIC_EXPORT_INTERVAL: "100" });
  meter.createCounter("easycron.lost").add(1);
  expect(await logged).toMatchObject({ unlogged: 0 });
});

test("settings that cannot be used are all named", () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318",
    OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    OTEL_TRACES_SAMPLER_ARG: "2",
  };
  expect(() => readTelemetrySettings(env)).toThrow(
    /OTEL_EXPORTER_OTLP_ENDPOINT is "collector:4318".*OTEL_EXPORTER_OTLP_PROTOCOL is "grpc".*SAMPLER_ARG is "2"/,
  );
});
