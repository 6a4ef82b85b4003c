import type { Meter } from "@opentelemetry/api";
import { createInstruments, gauge, observe } from "../mesh/metrics/metric.ts";
import type { Pool } from "./pool.ts";

/** What is measured of the pools of connections. The first three are OpenTelemetry's conventions for databases. */
export const POOL_METRICS = {
  connections: gauge("db.client.connection.count", {
    unit: "{connection}",
    attributes: ["db.client.connection.pool.name", "db.client.connection.state"],
    meaning: "Connections to PostgreSQL that are `used` and that are `idle`.",
  }),
  max: gauge("db.client.connection.max", {
    unit: "{connection}",
    attributes: ["db.client.connection.pool.name"],
    meaning: "The most connections that a pool opens.",
  }),
  pending: gauge("db.client.connection.pending_requests", {
    unit: "{request}",
    attributes: ["db.client.connection.pool.name"],
    meaning: "Statements that wait for a free connection.",
  }),
  unanswered: gauge("easycron.database.unanswered.age", {
    unit: "s",
    attributes: ["db.client.connection.pool.name"],
    meaning:
      "For how long the oldest statement of a pool has waited for a connection or for PostgreSQL's answer; 0 when none waits.",
  }),
} as const;

/** Measures pools, whenever somebody reads the measures. */
export function measurePools(
  meter: Meter,
  pools: ReadonlyMap<string, Pick<Pool, "usage" | "oldestUnanswered">>,
): void {
  const metrics = createInstruments(meter, POOL_METRICS);
  for (const [name, pool] of pools) {
    const attributes = { "db.client.connection.pool.name": name };
    const state = (word: string) => ({ ...attributes, "db.client.connection.state": word });
    observe(metrics.connections, () => pool.usage().used, state("used"));
    observe(metrics.connections, () => pool.usage().idle, state("idle"));
    observe(metrics.max, () => pool.usage().max, attributes);
    observe(metrics.pending, () => pool.usage().waiting, attributes);
    observe(metrics.unanswered, () => (pool.oldestUnanswered()?.forMs ?? 0) / 1_000, attributes);
  }
}
