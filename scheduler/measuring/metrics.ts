import { BATCH_BOUNDS, counter, DURATION_BOUNDS, gauge, histogram } from "../../mesh/metrics/metric.ts";

/** What a scheduler measures. */
export const SCHEDULER_METRICS = {
  decided: counter("easycron.fire_time.decided", {
    unit: "{fire_time}",
    attributes: ["easycron.verdict", "easycron.reason"],
    meaning:
      "Fire times that ticks decided: DISPATCHED, SKIPPED on purpose, or MISSED because of an outage; with the reason if there is no trigger.",
  }),
  missed: counter("easycron.fire_time.missed", {
    unit: "{fire_time}",
    attributes: ["easycron.reason"],
    meaning: "Fire times that got no trigger because of an outage, found by ticks and by changes of jobs.",
  }),
  handed: counter("easycron.hand_over.triggers", {
    unit: "{trigger}",
    attributes: ["easycron.trigger.kind", "easycron.result"],
    meaning:
      "Triggers that were handed over to dispatchers: `recorded`, `postponed` or `refused` alone, or `failed` with all of their call.",
  }),
  handOver: histogram("easycron.hand_over.duration", {
    unit: "s",
    attributes: [],
    meaning: "How long it took until dispatchers had made what was handed over durable.",
    bounds: DURATION_BOUNDS,
  }),
  handOverSize: histogram("easycron.hand_over.size", {
    unit: "{trigger}",
    attributes: [],
    meaning: "How many triggers were handed over together.",
    bounds: BATCH_BOUNDS,
  }),
  tick: histogram("easycron.tick.duration", {
    unit: "s",
    attributes: ["easycron.result"],
    meaning: "How long ticks took: those that are `done`, and those that `failed`.",
    bounds: DURATION_BOUNDS,
  }),
  dispatchers: gauge("easycron.dispatchers.live", {
    unit: "{dispatcher}",
    attributes: [],
    meaning: "Dispatchers that take triggers from this scheduler.",
  }),
  setAside: counter("easycron.scheduler.set_aside", {
    unit: "{job}",
    attributes: [],
    meaning: "Jobs whose fire times could not be decided or recorded, each time that this was tried.",
  }),
  audited: counter("easycron.audits", {
    unit: "{audit}",
    attributes: [],
    meaning: "Audits: comparisons of the ledger of a job with its schedule.",
  }),
  differences: counter("easycron.audit.differences", {
    unit: "{difference}",
    attributes: [],
    meaning: "Differences that audits found between the ledger and the schedule of a job.",
  }),
} as const;
