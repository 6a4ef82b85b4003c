import { observe } from "../../mesh/metrics/metric.ts";
import type { DispatcherInstruments } from "./measure-events.ts";

/** How much work a dispatcher has in memory now. */
export interface WorkCounts {
  /** Triggers that are due and whose attempt has not started, for our reasons. */
  readonly waitingOurs: number;
  /** The same because of limits of the customer or a receiver that fails. */
  readonly waitingTheirs: number;
  readonly inFlight: number;
  readonly results: number;
  /** How long the oldest result has waited, in milliseconds. */
  readonly resultsAgeMs: number;
  /** Origins that get single attempts only. */
  readonly blocked: number;
}

/** Measures what a dispatcher has in memory, whenever somebody reads the measures. */
export function measureWork(
  metrics: DispatcherInstruments,
  parts: {
    readonly count: () => WorkCounts;
    readonly holding: { readonly size: number };
    readonly lease: { isValid(): boolean };
  },
): void {
  const { count, holding, lease } = parts;
  observe(metrics.held, () => holding.size);
  observe(metrics.leaseValid, () => (lease.isValid() ? 1 : 0));
  observe(metrics.waiting, () => count().waitingOurs, { "easycron.part": "ours" });
  observe(metrics.waiting, () => count().waitingTheirs, { "easycron.part": "theirs" });
  observe(metrics.inFlight, () => count().inFlight);
  observe(metrics.resultsWaiting, () => count().results);
  observe(metrics.resultsAge, () => count().resultsAgeMs / 1_000);
  observe(metrics.blocked, () => count().blocked);
}
