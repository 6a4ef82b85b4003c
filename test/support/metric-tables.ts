import { POOL_METRICS } from "../../db/pool-metrics.ts";
import { DISPATCHER_METRICS } from "../../dispatcher/measuring/metrics.ts";
import { GATEWAY_METRICS } from "../../gateway/interceptors/measure.ts";
import { LOOP_METRICS } from "../../mesh/metrics/loop-metrics.ts";
import type { MetricTable } from "../../mesh/metrics/metric.ts";
import { PROCESS_METRICS } from "../../mesh/metrics/process-metrics.ts";
import { PLUGIN_METRICS } from "../../plugins/measure-deliveries.ts";
import { SCHEDULER_METRICS } from "../../scheduler/measuring/metrics.ts";

/** Every table of metrics, by the heading under which docs/metrics.md lists it. */
export const METRIC_TABLES: Readonly<Record<string, MetricTable>> = {
  "Every process": PROCESS_METRICS,
  Loops: LOOP_METRICS,
  "Connections to PostgreSQL": POOL_METRICS,
  Gateway: GATEWAY_METRICS,
  Scheduler: SCHEDULER_METRICS,
  Dispatcher: DISPATCHER_METRICS,
  Plugins: PLUGIN_METRICS,
};

/** A line of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads Prometheus' text format. */
export function readSamples(text: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = "", text = ""]) => [
      key,
      text,
    ]);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

/** Returns the name that Prometheus has for a metric, without _total, _bucket and so on. */
export function toPrometheusName({ name, unit }: { readonly name: string; readonly unit: string }): string {
  const words: Record<string, string> = { s: "_seconds", By: "_bytes" };
  return `${name.replaceAll(".", "_")}${words[unit] ?? ""}`;
}
