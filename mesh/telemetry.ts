import {
  context,
  createNoopMeter,
  DiagLogLevel,
  diag,
  type Meter,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  type Tracer,
} from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { IMetricReader, MetricData, MetricReader, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { Sampler, SpanProcessor } from "@opentelemetry/sdk-trace";
import type { Logger } from "./logger.ts";
import { spanIds } from "./span-ids.ts";
import type { TelemetrySettings } from "./telemetry-settings.ts";

/** The measures and spans of one service. */
export interface Telemetry {
  /** Makes instruments. Without a reader of measures they do nothing. */
  readonly meter: Meter;
  /** Whether somebody reads the measures. What costs something to measure is not measured otherwise. */
  readonly hasMetrics: boolean;
  /** Makes spans. Without a receiver of spans they record nothing. */
  readonly tracer: Tracer;
  /** The same tracer for the spans of calls; undefined when nobody gets spans. */
  readonly callTracer: Tracer | undefined;
  /** Whether spans are sent to somebody. */
  readonly hasTraces: boolean;
  /** Whether the sampler keeps a trace with this id that begins here. */
  isSampled(traceId: string): boolean;
  /** Whether measures may have the attribute `easycron.project.id`. */
  readonly byProject: boolean;
  /** Returns the measures in the text format of Prometheus, or undefined when none are kept for it. */
  readonly readPrometheus: (() => Promise<string>) | undefined;
  /** Sends what is not sent yet, for at most 2 s and at most 0.5 s after `hurry` is aborted, and ends. */
  close(hurry?: AbortSignal): Promise<void>;
}

/** What `startTelemetry` needs to know. */
export interface TelemetryParts {
  /** The name of the service: it is `easycron-<service>` for readers, unless OTEL_SERVICE_NAME is set. */
  readonly service: string;
  readonly settings: TelemetrySettings;
  readonly logger: Pick<Logger, "warn" | "error">;
  /** Get the spans as well. For tests. */
  readonly spanProcessors?: readonly SpanProcessor[];
}

const SCOPE = "easycron";
const CLOSE_LIMIT_MS = 2_000;
/** A hurried process has 3 s for everything (mesh/lifecycle.ts). */
const HURRIED_LIMIT_MS = 500;
const EXPORT_LIMIT_MS = 10_000;

/**
 * Starts what the settings ask for. The SDK is loaded only then, so a service without telemetry neither loads it nor
 * does anything at its instruments.
 *
 * What the SDK cannot send is lost after a bounded wait in a bounded queue, and one line is logged at most every 10 s.
 */
export async function startTelemetry(parts: TelemetryParts): Promise<Telemetry> {
  const { settings, logger, spanProcessors = [] } = parts;
  const hasMetrics = settings.hasPrometheus || settings.metricsUrl !== undefined;
  const hasTraces = settings.tracesUrl !== undefined || spanProcessors.length > 0;
  if (hasMetrics || hasTraces) logTroubles(logger);
  const metrics = hasMetrics ? await startMetrics(parts) : NO_METRICS;
  const traces = hasTraces ? await startTraces(parts) : NO_TRACES;
  return {
    meter: metrics.meter,
    hasMetrics,
    tracer: traces.tracer,
    callTracer: hasTraces ? traces.tracer : undefined,
    hasTraces,
    isSampled: traces.isSampled,
    byProject: settings.byProject,
    readPrometheus: metrics.readPrometheus,
    close: async (hurry) => {
      const ended = Promise.allSettled([metrics.close(), traces.close()]);
      await Promise.race([ended, untilLimit(hurry)]);
    },
  };
}

function untilLimit(hurry: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const wait = (ms: number) => void setTimeout(resolve, ms).unref();
    wait(CLOSE_LIMIT_MS);
    if (hurry?.aborted) wait(HURRIED_LIMIT_MS);
    else hurry?.addEventListener("abort", () => wait(HURRIED_LIMIT_MS), { once: true });
  });
}

interface Metrics {
  readonly meter: Meter;
  readonly readPrometheus: (() => Promise<string>) | undefined;
  close(): Promise<void>;
}

const NO_METRICS: Metrics = { meter: createNoopMeter(), readPrometheus: undefined, close: async () => {} };

async function startMetrics({ service, settings }: TelemetryParts): Promise<Metrics> {
  const { MeterProvider, PeriodicExportingMetricReader } = await import("@opentelemetry/sdk-metrics");
  const { PrometheusExporter, PrometheusSerializer } = await import("@opentelemetry/exporter-prometheus");
  const readers: IMetricReader[] = [];
  let scraped: MetricReader | undefined;
  if (settings.hasPrometheus) {
    // Only its collection is used: mesh/operator-server.ts answers the requests.
    scraped = new PrometheusExporter({ preventServerStart: true });
    readers.push(scraped);
  }
  if (settings.metricsUrl !== undefined) {
    const { OTLPMetricExporter } = await import("@opentelemetry/exporter-metrics-otlp-proto");
    const exporter = new OTLPMetricExporter({ url: settings.metricsUrl });
    const { exportEveryMs } = settings;
    const exportTimeoutMillis = Math.min(EXPORT_LIMIT_MS, exportEveryMs);
    readers.push(
      new PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: exportEveryMs,
        exportTimeoutMillis,
      }),
    );
  }
  const provider = new MeterProvider({ resource: await describeProcess(service), readers });
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);
  const read = async (reader: MetricReader) =>
    serializer.serialize(
      nameUnits((await reader.collect({ timeoutMillis: EXPORT_LIMIT_MS })).resourceMetrics),
    );
  return {
    meter: provider.getMeter(SCOPE),
    readPrometheus: scraped === undefined ? undefined : read.bind(undefined, scraped),
    close: () => provider.shutdown({ timeoutMillis: CLOSE_LIMIT_MS }),
  };
}

const UNIT_WORDS: Readonly<Record<string, string>> = { s: "seconds", By: "bytes" };

/** Ends the names with their units, as OpenTelemetry's Collector does. So they are the same by either way. */
function nameUnits(metrics: ResourceMetrics): ResourceMetrics {
  const rename = (metric: MetricData): MetricData => {
    const word = UNIT_WORDS[metric.descriptor.unit];
    if (word === undefined) return metric;
    return { ...metric, descriptor: { ...metric.descriptor, name: `${metric.descriptor.name}.${word}` } };
  };
  const scopeMetrics = metrics.scopeMetrics.map((scope) => ({
    ...scope,
    metrics: scope.metrics.map(rename),
  }));
  return { ...metrics, scopeMetrics };
}

interface Traces {
  readonly tracer: Tracer;
  isSampled(traceId: string): boolean;
  close(): Promise<void>;
}

// Its spans record nothing and carry the trace of their parent on.
const NO_TRACES: Traces = {
  tracer: new ProxyTracerProvider().getTracer(SCOPE),
  isSampled: () => false,
  close: async () => {},
};

async function startTraces({ service, settings, spanProcessors = [] }: TelemetryParts): Promise<Traces> {
  const { TracerProvider, BatchSpanProcessor, SamplingDecision } = await import("@opentelemetry/sdk-trace");
  const { AsyncLocalStorageContextManager } = await import("@opentelemetry/context-async-hooks");
  const processors = [...spanProcessors];
  if (settings.tracesUrl !== undefined) {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
    const { spansEveryMs: scheduledDelayMillis, maxSpans: maxQueueSize } = settings;
    const exporter = new OTLPTraceExporter({ url: settings.tracesUrl });
    processors.push(new BatchSpanProcessor({ exporter, scheduledDelayMillis, maxQueueSize }));
  }
  const { root, sampler } = await createSampler(settings);
  const provider = new TracerProvider({
    resource: await describeProcess(service),
    sampler,
    idGenerator: spanIds,
    spanProcessors: processors,
  });
  // The first service of a process sets it. It serves all of them.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const isSampled = (traceId: string) =>
    root.shouldSample(ROOT_CONTEXT, traceId, "", SpanKind.INTERNAL, {}, []).decision ===
    SamplingDecision.RECORD_AND_SAMPLED;
  return { tracer: provider.getTracer(SCOPE), isSampled, close: () => provider.shutdown() };
}

interface Samplers {
  /** Decides for a trace that begins here, by its id alone. */
  readonly root: Sampler;
  /** Decides for every span. */
  readonly sampler: Sampler;
}

async function createSampler({ sampler, samplerRatio }: TelemetrySettings): Promise<Samplers> {
  const { AlwaysOffSampler, AlwaysOnSampler, ParentBasedSampler, TraceIdRatioBasedSampler } = await import(
    "@opentelemetry/sdk-trace"
  );
  const toRoot = () => {
    if (sampler.endsWith("traceidratio")) return new TraceIdRatioBasedSampler(samplerRatio);
    return sampler.endsWith("always_off") ? new AlwaysOffSampler() : new AlwaysOnSampler();
  };
  const root = toRoot();
  return { root, sampler: sampler.startsWith("parentbased_") ? new ParentBasedSampler({ root }) : root };
}

async function describeProcess(service: string): Promise<Resource> {
  const { detectResources, envDetector, resourceFromAttributes, serviceInstanceIdDetector } = await import(
    "@opentelemetry/resources"
  );
  const own = resourceFromAttributes({ "service.name": `easycron-${service}`, "process.pid": process.pid });
  return own.merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] }));
}

const LOG_EVERY_MS = 10_000;

/** Logs what goes wrong in the SDK, at most every 10 s, with the number of lines left out. */
function logTroubles(logger: Pick<Logger, "warn">): void {
  let loggedMs = Number.NEGATIVE_INFINITY;
  let unlogged = 0;
  const log = (message: string, ...rest: unknown[]) => {
    const nowMs = performance.now();
    if (nowMs - loggedMs < LOG_EVERY_MS) {
      unlogged += 1;
      return;
    }
    loggedMs = nowMs;
    const fields = { trouble: message, err: rest.find((each) => each instanceof Error), unlogged };
    logger.warn(fields, "telemetry: measures or spans may be lost");
    unlogged = 0;
  };
  const ignore = () => {};
  const loggers = { error: log, warn: log, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(loggers, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
}
