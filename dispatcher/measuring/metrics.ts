import {
  BATCH_BOUNDS,
  counter,
  DURATION_BOUNDS,
  gauge,
  histogram,
  LATENESS_BOUNDS,
} from "../../mesh/metrics/metric.ts";

/** What a dispatcher measures. */
export const DISPATCHER_METRICS = {
  lateness: histogram("easycron.trigger.lateness", {
    unit: "s",
    attributes: ["easycron.part", "easycron.trigger.kind", "easycron.project.id"],
    meaning:
      "From a trigger's effective time to the start of its first attempt: the part that is `ours`, and the part that is `theirs`, in which it waited for limits of the customer or for a receiver that fails.",
    bounds: LATENESS_BOUNDS,
  }),
  attempt: histogram("easycron.attempt.duration", {
    unit: "s",
    attributes: ["easycron.outcome", "easycron.target", "easycron.project.id"],
    meaning: "How long attempts took, from their start to their outcome.",
    bounds: DURATION_BOUNDS,
  }),
  ended: counter("easycron.trigger.ended", {
    unit: "{trigger}",
    attributes: ["easycron.trigger.state"],
    meaning:
      "Triggers that have ended, counted when that is recorded; those that are EXHAUSTED are dead letters. One is not counted when the answer of PostgreSQL was lost and the recording was repeated.",
  }),
  accepted: counter("easycron.trigger.accepted", {
    unit: "{trigger}",
    attributes: [],
    meaning: "Triggers that were recorded when a scheduler handed them over.",
  }),
  backlog: gauge("easycron.backlog.triggers", {
    unit: "{trigger}",
    attributes: ["easycron.part"],
    meaning:
      "Triggers in PostgreSQL that have been due for more than a second and that nobody attempts, whether a dispatcher owns them or none: `ours`, or `theirs`, which wait for limits of the customer or for a receiver that fails. Catch-ups, backfills and replays are left out. At most 10,000 of each dispatcher are counted, by one dispatcher for all.",
  }),
  backlogAge: gauge("easycron.backlog.oldest.age", {
    unit: "s",
    attributes: ["easycron.part"],
    meaning: "How long ago the oldest trigger of the backlog was due.",
  }),
  held: gauge("easycron.held.triggers", {
    unit: "{trigger}",
    attributes: [],
    meaning: "Triggers in the memory of the dispatcher.",
  }),
  waiting: gauge("easycron.waiting.triggers", {
    unit: "{trigger}",
    attributes: ["easycron.part"],
    meaning:
      "Triggers in memory that are due and whose attempt has not started: for our reasons (`ours`), or because of limits of the customer or a receiver that fails (`theirs`).",
  }),
  inFlight: gauge("easycron.attempt.in_flight", {
    unit: "{attempt}",
    attributes: [],
    meaning: "Attempts that have started and not ended.",
  }),
  leaseValid: gauge("easycron.lease.valid", {
    unit: "1",
    attributes: [],
    meaning: "1 while the dispatcher has a lease and may start attempts; else 0.",
  }),
  leases: counter("easycron.lease.changes", {
    unit: "{lease}",
    attributes: ["easycron.result"],
    meaning:
      "Leases that were `taken`, and leases that were `lost` because they could not be renewed in time.",
  }),
  released: counter("easycron.trigger.released", {
    unit: "{trigger}",
    attributes: [],
    meaning: "Triggers that were taken from a dispatcher that died, or that was lost from memory.",
  }),
  claimed: counter("easycron.claim.triggers", {
    unit: "{trigger}",
    attributes: ["easycron.result"],
    meaning: "Triggers of claims: `started`, no longer wanted (`refused`), or put back (`postponed`).",
  }),
  claimSize: histogram("easycron.claim.size", {
    unit: "{trigger}",
    attributes: [],
    meaning: "How many triggers one claim was about.",
    bounds: BATCH_BOUNDS,
  }),
  resultsWaiting: gauge("easycron.results.waiting", {
    unit: "{result}",
    attributes: [],
    meaning: "Results of attempts that are not recorded yet.",
  }),
  resultsAge: gauge("easycron.results.oldest.age", {
    unit: "s",
    attributes: [],
    meaning: "How long the oldest result has waited to be recorded; 0 when none waits.",
  }),
  recorded: counter("easycron.results.recorded", {
    unit: "{result}",
    attributes: [],
    meaning: "Results that are durable.",
  }),
  breakers: counter("easycron.breaker.changes", {
    unit: "{change}",
    attributes: ["easycron.breaker.state"],
    meaning:
      "Origins of webhooks that got BLOCKED, because they fail or ask for a pause, and that are OPEN again.",
  }),
  blocked: gauge("easycron.breaker.blocked", {
    unit: "{origin}",
    attributes: [],
    meaning: "Origins of webhooks that get no attempts but single ones now.",
  }),
  acknowledged: counter("easycron.acknowledgement.received", {
    unit: "{acknowledgement}",
    attributes: ["easycron.outcome", "easycron.result"],
    meaning: "Acknowledgements of receivers, by what they say, and whether they `counted` or came `late`.",
  }),
  unacknowledged: counter("easycron.acknowledgement.failed", {
    unit: "{trigger}",
    attributes: ["easycron.trigger.state"],
    meaning: "Triggers that a receiver took, and then failed or did not acknowledge in time.",
  }),
  alerts: counter("easycron.alert.attempts", {
    unit: "{attempt}",
    attributes: ["easycron.alert.event", "easycron.alert.state"],
    meaning: "Attempts to send alerts of jobs, and the state of the alert after them.",
  }),
  alertsHeld: counter("easycron.alert.held", {
    unit: "{alert}",
    attributes: [],
    meaning: "Alerts that had to wait, because their job or project had too many lately.",
  }),
  setAside: counter("easycron.dispatcher.set_aside", {
    unit: "{item}",
    attributes: ["easycron.kind"],
    meaning: "Rows that failed alone and were set aside, to be tried again.",
  }),
  troubles: counter("easycron.dispatcher.failures", {
    unit: "{failure}",
    attributes: [],
    meaning: "Failures of parts of the dispatcher that were tried again; the log names the part.",
  }),
  partitionsMissing: counter("easycron.partition.missing", {
    unit: "{try}",
    attributes: [],
    meaning: "Tries in which a monthly partition could not be made.",
  }),
  liveDifferences: counter("easycron.live_triggers.differences", {
    unit: "{trigger}",
    attributes: [],
    meaning: "Triggers in which `dispatcher.live_triggers` and `dispatcher.triggers` differed.",
  }),
  removed: counter("easycron.trigger.removed", {
    unit: "{trigger}",
    attributes: [],
    meaning: "Triggers that were removed, because their project keeps them no longer.",
  }),
} as const;
