import { integer, listenAddress, oneOf, parsed, readEnv } from "./config.ts";

/** A sampler of traces, as OTEL_TRACES_SAMPLER names it. */
export type SamplerName = (typeof SAMPLERS)[number];

const SAMPLERS = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
] as const;

const spec = {
  /** Where Prometheus reads the measures, and where `/healthz` and `/readyz` answer. Without it nothing listens. */
  listen: { ...listenAddress("EASYCRON_METRICS_LISTEN"), default: undefined as string | undefined },
  /** Whether some measures are kept for each project. */
  byProject: oneOf("EASYCRON_METRICS_BY_PROJECT", ["on", "off"], { default: "off" }),
  isDisabled: oneOf("OTEL_SDK_DISABLED", ["true", "false"], { default: "false" }),
  endpoint: endpoint("OTEL_EXPORTER_OTLP_ENDPOINT"),
  tracesEndpoint: endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
  metricsEndpoint: endpoint("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"),
  protocol: oneOf("OTEL_EXPORTER_OTLP_PROTOCOL", ["http/protobuf"], { default: "http/protobuf" }),
  tracesExporter: oneOf("OTEL_TRACES_EXPORTER", ["otlp", "none"], { default: "otlp" }),
  metricsExporter: oneOf("OTEL_METRICS_EXPORTER", ["otlp", "prometheus", "none"], { default: "otlp" }),
  exportEveryMs: integer("OTEL_METRIC_EXPORT_INTERVAL", { default: 60_000, min: 100, max: 3_600_000 }),
  spansEveryMs: integer("OTEL_BSP_SCHEDULE_DELAY", { default: 5_000, min: 10, max: 60_000 }),
  maxSpans: integer("OTEL_BSP_MAX_QUEUE_SIZE", { default: 2_048, min: 512, max: 100_000 }),
  sampler: oneOf("OTEL_TRACES_SAMPLER", SAMPLERS, { default: "parentbased_always_on" as SamplerName }),
  samplerRatio: parsed("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1", parseRatio, { default: 1 }),
};

/** What is measured, and who gets it. */
export interface TelemetrySettings {
  /** `host:port` of the endpoint for Prometheus and for health, if there is one. */
  readonly listen: string | undefined;
  /** Whether measures are kept for Prometheus. */
  readonly hasPrometheus: boolean;
  /** Where measures are sent, if anywhere. */
  readonly metricsUrl: string | undefined;
  /** Where spans are sent, if anywhere. */
  readonly tracesUrl: string | undefined;
  readonly exportEveryMs: number;
  /** How long a span waits for others at most before it is sent. */
  readonly spansEveryMs: number;
  /** How many spans wait to be sent at most. Of more, the newest are lost. */
  readonly maxSpans: number;
  readonly sampler: SamplerName;
  /** The part of the traces that the ratio samplers keep, from 0 to 1. */
  readonly samplerRatio: number;
  /** Whether measures may have the attribute `easycron.project.id`. */
  readonly byProject: boolean;
}

/**
 * Reads OpenTelemetry's standard variables
 * (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) and EASYCRON_METRICS_….
 * Throws one ConfigError with every problem. The exporters themselves read OTEL_EXPORTER_OTLP_HEADERS and the other
 * variables of that prefix, and `startTelemetry` reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
 */
export function readTelemetrySettings(env: NodeJS.ProcessEnv): TelemetrySettings {
  const config = readEnv(env, spec);
  const isOn = config.isDisabled === "false";
  const signalUrl = (signal: string, own: string | undefined) =>
    own ??
    (config.endpoint === undefined ? undefined : `${config.endpoint.replace(/\/+$/, "")}/v1/${signal}`);
  const sendsMetrics = isOn && config.metricsExporter === "otlp";
  const sendsTraces = isOn && config.tracesExporter === "otlp";
  return {
    listen: config.listen,
    hasPrometheus: isOn && config.listen !== undefined && config.metricsExporter !== "none",
    metricsUrl: sendsMetrics ? signalUrl("metrics", config.metricsEndpoint) : undefined,
    tracesUrl: sendsTraces ? signalUrl("traces", config.tracesEndpoint) : undefined,
    exportEveryMs: config.exportEveryMs,
    spansEveryMs: config.spansEveryMs,
    maxSpans: config.maxSpans,
    sampler: config.sampler,
    samplerRatio: config.samplerRatio,
    byProject: config.byProject === "on",
  };
}

function endpoint(variable: string) {
  const parse = (text: string) => (/^https?:$/.test(URL.parse(text)?.protocol ?? "") ? text : undefined);
  return parsed<string | undefined>(variable, "an http or https URL, such as http://collector:4318", parse, {
    default: undefined,
  });
}

function parseRatio(text: string): number | undefined {
  const ratio = /^\d(\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN;
  return ratio >= 0 && ratio <= 1 ? ratio : undefined;
}
