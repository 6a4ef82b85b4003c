import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DeliverySchema } from "../gen/easycron/internal/plugins/v1/plugins_service_pb.ts";
import { PluginKind } from "../gen/easycron/v1/plugin_pb.ts";
import { AttemptOutcome } from "../gen/easycron/v1/trigger_pb.ts";
import {
  BATCH_BOUNDS,
  counter,
  createInstruments,
  DURATION_BOUNDS,
  histogram,
} from "../mesh/metrics/metric.ts";
import type { Telemetry } from "../mesh/telemetry.ts";

/** What the plugins service measures. The names are OpenTelemetry's conventions for messaging, where there is one. */
export const PLUGIN_METRICS = {
  sent: counter("messaging.client.sent.messages", {
    unit: "{message}",
    attributes: ["messaging.system", "easycron.outcome"],
    meaning: "Messages for customers' brokers, by what became of them.",
  }),
  duration: histogram("messaging.client.operation.duration", {
    unit: "s",
    attributes: ["messaging.system"],
    meaning: "How long it took to write a batch of one project to a broker.",
    bounds: DURATION_BOUNDS,
  }),
  size: histogram("easycron.plugin.batch.size", {
    unit: "{message}",
    attributes: ["messaging.system"],
    meaning: "How many messages a batch had.",
    bounds: BATCH_BOUNDS,
  }),
} as const;

/** Measures a batch whose outcomes are known. */
export type MeasureDeliveries = (
  kind: PluginKind,
  deliveries: readonly MessageInitShape<typeof DeliverySchema>[],
  tookMs: number,
) => void;

/** Makes the measuring of deliveries; it does nothing when nobody reads the measures. */
export function measureDeliveries({
  meter,
  hasMetrics,
}: Pick<Telemetry, "meter" | "hasMetrics">): MeasureDeliveries {
  const metrics = createInstruments(meter, PLUGIN_METRICS);
  if (!hasMetrics) return () => {};
  return (kind, deliveries, tookMs) => {
    const system = { "messaging.system": kind === PluginKind.REDIS ? "redis" : "kafka" };
    metrics.duration.record(tookMs / 1_000, system);
    metrics.size.record(deliveries.length, system);
    const outcomes = Map.groupBy(deliveries, ({ outcome }) => OUTCOMES.get(outcome) ?? "UNSPECIFIED");
    for (const [outcome, { length }] of outcomes) {
      metrics.sent.add(length, { ...system, "easycron.outcome": outcome });
    }
  };
}

const OUTCOMES: ReadonlyMap<AttemptOutcome | undefined, string> = new Map(
  Object.entries(AttemptOutcome).map(([name, outcome]) => [outcome, name]),
);
