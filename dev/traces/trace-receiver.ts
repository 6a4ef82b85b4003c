import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type ExportTraceServiceRequest,
  ExportTraceServiceRequestSchema,
  type KeyValue,
  type Span,
} from "../../gen/easycron/internal/telemetry/v1/otlp_pb.ts";

/** A span that a service has sent. Times are epoch milliseconds. */
export interface ReceivedSpan {
  /** The service.name of its process, such as easycron-dispatcher. */
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** The id of the span within which it lies; empty for a root. */
  readonly parentId: string;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** The trace ids of its links, by what they say about them. */
  readonly links: readonly { readonly traceId: string; readonly relation: string }[];
  /** Whether it failed. */
  readonly hasFailed: boolean;
}

/** A receiver of spans that is listening. */
export interface TraceReceiver {
  /** For OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. */
  readonly url: string;
  /** Stops listening and closes every connection. */
  close(): Promise<void>;
}

/** The largest export that is read, in bytes. The SDK sends at most 512 spans at once. */
const MAX_BYTES = 8 * 1024 * 1024;

/** Starts an HTTP server on 127.0.0.1 that takes spans by OTLP (http/protobuf), and calls `onSpans` with those of each export. */
export async function startTraceReceiver(
  onSpans: (spans: readonly ReceivedSpan[]) => void,
): Promise<TraceReceiver> {
  const server = createServer((request, response) => {
    readBody(request)
      .then(
        (body) => {
          onSpans(toSpans(fromBinary(ExportTraceServiceRequestSchema, body)));
          response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
        },
        () => response.writeHead(400).end(),
      )
      .catch(() => response.writeHead(400).end());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/v1/traces`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`An export has more than ${MAX_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toSpans({ resourceSpans }: ExportTraceServiceRequest): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(toValues(resource?.attributes ?? [])["service.name"] ?? "");
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => toSpan(span, service)));
  });
}

function toSpan(span: Span, service: string): ReceivedSpan {
  return {
    service,
    traceId: toHex(span.traceId),
    spanId: toHex(span.spanId),
    parentId: toHex(span.parentSpanId),
    name: span.name,
    startMs: toMs(span.startTimeUnixNano),
    endMs: toMs(span.endTimeUnixNano),
    attributes: toValues(span.attributes),
    links: span.links.map(({ traceId, attributes }) => ({
      traceId: toHex(traceId),
      relation: String(toValues(attributes)["easycron.relation"] ?? ""),
    })),
    hasFailed: span.status?.code === 2,
  };
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

// A double holds microseconds of today exactly, but not nanoseconds.
function toMs(nanos: bigint): number {
  return Number(nanos / 1_000n) / 1_000;
}

function toValues(attributes: readonly KeyValue[]): Record<string, string | number | boolean> {
  const values = attributes.flatMap(({ key, value }) => {
    const given = value?.value.value;
    if (given === undefined) return [];
    return [[key, typeof given === "bigint" ? Number(given) : given] as const];
  });
  return Object.fromEntries(values);
}
