import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { createInstruments, type Instruments, observe, showZero } from "../../mesh/metrics/metric.ts";
import type { Telemetry } from "../../mesh/telemetry.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { MISSED_REASONS, type SkipRange, verdictOf } from "../job/verdict.ts";
import type { HandOver } from "../turns/hand-over.ts";
import type { Tick } from "../turns/tick.ts";
import { SCHEDULER_METRICS } from "./metrics.ts";

/** The measuring of a scheduler. What it returns behaves as what it is given. */
export interface Measuring {
  /** Measures hand-overs, of ticks and of calls. */
  handOver(handOver: HandOver): HandOver;
  /** Measures ticks. */
  tick(tick: Tick): Tick;
  /** Counts what the turn of a job decided. */
  decided(turn: { readonly events: readonly unknown[]; readonly skips: readonly SkipRange[] }): void;
  /** Counts fire times that an outage made us miss. */
  missed(range: SkipRange): void;
  /** Counts a job that is set aside. */
  setAside(): void;
  /** Counts an audit of a job, and the differences that it found. */
  audited(differences: number): void;
  /** Measures how many dispatchers are live. */
  dispatchers(live: () => readonly unknown[]): void;
}

/** Makes the measuring. When nobody reads the measures, it leaves out what costs something. */
export function createMeasuring({ meter, hasMetrics }: Pick<Telemetry, "meter" | "hasMetrics">): Measuring {
  const metrics = createInstruments(meter, SCHEDULER_METRICS);
  showZero(
    metrics.missed,
    MISSED_REASONS.map((reason) => ({ "easycron.reason": reason })),
  );
  showZero(metrics.setAside);
  showZero(metrics.differences);
  return {
    handOver: (handOver) => (hasMetrics ? measureHandOver(metrics, handOver) : handOver),
    tick: (tick) => (hasMetrics ? { run: () => measureTick(metrics, tick) } : tick),
    decided: ({ events, skips }) => {
      if (!hasMetrics) return;
      if (events.length > 0) metrics.decided.add(events.length, { "easycron.verdict": "DISPATCHED" });
      for (const { reason, count } of skips) {
        metrics.decided.add(count, { "easycron.verdict": verdictOf(reason), "easycron.reason": reason });
      }
    },
    missed: ({ reason, count }) => metrics.missed.add(count, { "easycron.reason": reason }),
    setAside: () => metrics.setAside.add(1),
    audited: (differences) => {
      metrics.audited.add(1);
      metrics.differences.add(differences);
    },
    dispatchers: (live) => observe(metrics.dispatchers, () => live().length),
  };
}

type SchedulerInstruments = Instruments<typeof SCHEDULER_METRICS>;

function measureHandOver(metrics: SchedulerInstruments, handOver: HandOver): HandOver {
  return {
    ...handOver,
    send: async (events) => {
      if (events.length === 0) return handOver.send(events);
      metrics.handOverSize.record(events.length);
      const beganMs = performance.now();
      try {
        const refused = await handOver.send(events);
        metrics.handOver.record((performance.now() - beganMs) / 1_000);
        const results = new Map(
          refused.map(({ triggerId, isTransient }) => [triggerId, isTransient ? "postponed" : "refused"]),
        );
        count(metrics, events, (event) => results.get(event.triggerId) ?? "recorded");
        return refused;
      } catch (error) {
        count(metrics, events, () => "failed");
        throw error;
      }
    },
  };
}

const KINDS: ReadonlyMap<TriggerKind, string> = new Map(
  Object.entries(TriggerKind).map(([name, kind]) => [kind, name]),
);

/** Adds up triggers by kind and result, so that a batch takes a few additions. */
function count(
  metrics: SchedulerInstruments,
  events: readonly TriggerEventInit[],
  resultOf: (event: TriggerEventInit) => string,
): void {
  const kinds = Map.groupBy(
    events,
    (event) => `${KINDS.get(event.kind) ?? "UNSPECIFIED"} ${resultOf(event)}`,
  );
  for (const [key, { length }] of kinds) {
    const [kind = "", result = ""] = key.split(" ");
    metrics.handed.add(length, { "easycron.trigger.kind": kind, "easycron.result": result });
  }
}

async function measureTick(metrics: SchedulerInstruments, tick: Tick): ReturnType<Tick["run"]> {
  const beganMs = performance.now();
  const record = (result: string) =>
    metrics.tick.record((performance.now() - beganMs) / 1_000, { "easycron.result": result });
  try {
    const done = await tick.run();
    record("done");
    return done;
  } catch (error) {
    record("failed");
    throw error;
  }
}
