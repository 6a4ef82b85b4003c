import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { Transport } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createCaller } from "./caller.ts";
import { startClientSpan } from "./client-span.ts";
import { JobService } from "./gen/easycron/v1/job_service_pb.ts";
import { EasyCron, EasyCronError } from "./index.ts";

const seen: IncomingHttpHeaders[] = [];
const server = createServer((request, response) => {
  seen.push(request.headers);
  response.setHeader("content-type", "application/json");
  response.setHeader("x-request-id", "r-1");
  response.setHeader("traceresponse", `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`);
  response.writeHead(404).end('{"code":"not_found","message":"There is none."}');
});

beforeAll(() => new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening)));
afterAll(() => server.close().closeAllConnections());
afterEach(() => {
  trace.disable();
  seen.length = 0;
});

async function failedCall(): Promise<EasyCronError> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const error = await new EasyCron({ url, apiKey: "k" }).jobs.get("a").catch((thrown: unknown) => thrown);
  if (!(error instanceof EasyCronError)) throw error;
  return error;
}

test("an error tells the ids of the call and of its trace", async () => {
  expect(await failedCall()).toMatchObject({ callId: "r-1", traceId: "ab".repeat(16), requestId: undefined });
});

test("without OpenTelemetry in the application there is no span and no header", async () => {
  expect(startClientSpan("a/B")?.headers ?? {}).toEqual({});
  await failedCall();
  expect(seen[0]).not.toHaveProperty("traceparent");
});

test("a call is a client span of the application's tracer, and EasyCron continues it", async () => {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
  );
  await failedCall();
  const [span, ...others] = exporter.getFinishedSpans();
  expect(others).toEqual([]);
  expect(span).toMatchObject({
    name: "easycron.v1.JobService/GetJob",
    kind: SpanKind.CLIENT,
    attributes: { "rpc.method": "easycron.v1.JobService/GetJob", "error.type": "NOT_FOUND" },
    status: { code: SpanStatusCode.ERROR },
  });
  const { traceId, spanId } = span?.spanContext() ?? {};
  expect(seen[0]?.traceparent).toBe(`00-${traceId}-${spanId}-01`);
});

test("a call whose answer cannot be read is a span that failed", async () => {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(
    new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
  );
  const transport = { unary: async () => ({}) } as unknown as Transport;
  const caller = createCaller({ transport, timeoutMs: 1_000, maxRetries: 0 });
  await expect(caller.call(JobService.method.getJob, { name: "a" })).rejects.toThrow();
  expect(exporter.getFinishedSpans()).toMatchObject([
    { attributes: { "error.type": "error" }, status: { code: SpanStatusCode.ERROR } },
  ]);
});
