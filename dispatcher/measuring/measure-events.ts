import { createInstruments, type Instruments, showZero } from "../../mesh/metrics/metric.ts";
import type { Telemetry } from "../../mesh/telemetry.ts";
import type { AttemptEvent, Events } from "../events/events.ts";
import { SET_ASIDE_KINDS } from "../set-aside/set-aside.ts";
import { DISPATCHER_METRICS } from "./metrics.ts";

/** The instruments of a dispatcher. */
export type DispatcherInstruments = Instruments<typeof DISPATCHER_METRICS>;

/**
 * Counts what a dispatcher does, by its events. Returns the instruments. Nothing listens when nobody reads the measures,
 * so that they cost nothing then. Most events are about a batch; only an attempt is measured alone.
 */
export function measureEvents(
  events: Events,
  { meter, hasMetrics, byProject }: Pick<Telemetry, "meter" | "hasMetrics" | "byProject">,
): DispatcherInstruments {
  const metrics = createInstruments(meter, DISPATCHER_METRICS);
  if (!hasMetrics) return metrics;
  showZero(metrics.leases, [{ "easycron.result": "lost" }]);
  showZero(
    metrics.setAside,
    SET_ASIDE_KINDS.map((kind) => ({ "easycron.kind": kind })),
  );
  showZero(metrics.partitionsMissing);
  showZero(metrics.liveDifferences);
  events.on("attempt", (attempt) => measureAttempt(metrics, attempt, byProject));
  events.on("accepted", ({ recorded }) => metrics.accepted.add(recorded));
  events.on("claimed", ({ started, refused, postponed }) => {
    metrics.claimSize.record(started + refused + postponed);
    if (started > 0) metrics.claimed.add(started, { "easycron.result": "started" });
    if (refused > 0) metrics.claimed.add(refused, { "easycron.result": "refused" });
    if (postponed > 0) metrics.claimed.add(postponed, { "easycron.result": "postponed" });
  });
  events.on("recorded", ({ triggerIds }) => metrics.recorded.add(triggerIds.length));
  events.on("leased", () => metrics.leases.add(1, { "easycron.result": "taken" }));
  events.on("leaseLost", () => metrics.leases.add(1, { "easycron.result": "lost" }));
  events.on("released", ({ count }) => metrics.released.add(count));
  events.on("takenFromStalled", ({ count }) => metrics.released.add(count));
  events.on("destination", ({ state }) => metrics.breakers.add(1, { "easycron.breaker.state": state }));
  measureEnds(events, metrics);
  measureUpkeep(events, metrics);
  return metrics;
}

function measureAttempt(metrics: DispatcherInstruments, attempt: AttemptEvent, byProject: boolean): void {
  const { trigger, spec, number, startTimeMs, durationMs, outcome } = attempt;
  const project = byProject ? { "easycron.project.id": trigger.projectId } : {};
  metrics.attempt.record(durationMs / 1_000, {
    "easycron.outcome": outcome.kind,
    "easycron.target": spec.target.kind === "plugin" ? spec.target.plugin : spec.target.kind,
    ...project,
  });
  if (number !== trigger.attemptBase + 1) return;
  const { effectiveTimeMs, waitingSinceMs, kind } = trigger;
  const lateMs = Math.max(0, startTimeMs - effectiveTimeMs);
  const theirsMs = waitingSinceMs === null ? 0 : Math.min(lateMs, Math.max(0, startTimeMs - waitingSinceMs));
  const attributes = { "easycron.trigger.kind": kind, ...project };
  metrics.lateness.record((lateMs - theirsMs) / 1_000, { ...attributes, "easycron.part": "ours" });
  if (theirsMs > 0) metrics.lateness.record(theirsMs / 1_000, { ...attributes, "easycron.part": "theirs" });
}

/** The states in which a trigger has ended. */
const ENDED = ["SUCCEEDED", "EXHAUSTED", "CANCELLED"] as const;

function measureEnds(events: Events, metrics: DispatcherInstruments): void {
  events.on("changed", ({ states }) => {
    const counts: Record<string, number> = {};
    for (const state of states.values()) counts[state] = (counts[state] ?? 0) + 1;
    for (const state of ENDED) {
      const count = counts[state];
      if (count !== undefined) metrics.ended.add(count, { "easycron.trigger.state": state });
    }
  });
  const exhausted = (count: number) => {
    if (count > 0) metrics.ended.add(count, { "easycron.trigger.state": "EXHAUSTED" });
  };
  events.on("exhausted", ({ count }) => exhausted(count));
  events.on("unacknowledged", ({ states }) => {
    for (const state of states) metrics.unacknowledged.add(1, { "easycron.trigger.state": state });
    exhausted(states.filter((state) => state === "EXHAUSTED").length);
  });
  events.on("acknowledged", ({ outcome, counts, hasEnded }) => {
    const result = counts ? "counted" : "late";
    metrics.acknowledged.add(1, { "easycron.outcome": outcome, "easycron.result": result });
    if (hasEnded) metrics.ended.add(1, { "easycron.trigger.state": "SUCCEEDED" });
  });
}

function measureUpkeep(events: Events, metrics: DispatcherInstruments): void {
  events.on("alertSent", ({ event, state }) =>
    metrics.alerts.add(1, { "easycron.alert.event": event, "easycron.alert.state": state }),
  );
  events.on("alertsHeld", () => metrics.alertsHeld.add(1));
  events.on("setAside", ({ kind, count }) => metrics.setAside.add(count, { "easycron.kind": kind }));
  events.on("trouble", ({ failures = 1 }) => metrics.troubles.add(failures));
  events.on("partitionLate", () => metrics.partitionsMissing.add(1));
  events.on("partitionInDefault", () => metrics.partitionsMissing.add(1));
  events.on("liveTriggersDiffered", ({ found }) => metrics.liveDifferences.add(found));
  events.on("triggersRemoved", ({ removed }) => metrics.removed.add(removed));
}
