import type { Database } from "../../db/pool.ts";
import type { Clock } from "../../mesh/clock.ts";
import { mayAttempt } from "../delivery/next-state.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { Spec } from "../delivery/spec.ts";
import type { Events } from "../events/events.ts";
import { createDestinations, type Destinations } from "../flow/destinations.ts";
import { createFlowGate } from "../flow/flow-gate.ts";
import type { FlowStore } from "../flow/flow-store.ts";
import { createWaits } from "../flow/waits.ts";
import type { Lease } from "../instances/lease.ts";
import type { TrackName } from "../lanes/lane.ts";
import { type HeldTrigger, isLate } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import type { DueLanes, DueWork } from "./due-work.ts";

/**
 * Decides which due triggers get into the lanes. One waits outside if its flow key has used up its limits, or its
 * destination fails or asks for a pause. It uses no place of a lane meanwhile, and no attempt.
 */
export interface Admission {
  /** How many triggers wait in memory. */
  readonly size: number;
  /** See `Destinations`. */
  readonly blocked: number;
  /** Puts a due trigger into its lane, or makes it wait. */
  enter(trigger: HeldTrigger, spec: Spec): void;
  /**
   * To be asked before a trigger of a lane is claimed, because its destination may have failed meanwhile. If the answer is
   * no, the trigger has to leave its lane, and then `turnAway` has to be called.
   */
  mayClaim(work: DueWork): boolean;
  /** A trigger that has left its lane, and waits outside again. */
  turnAway(work: DueWork): void;
  /** A trigger has left its lane without an attempt. */
  left(work: DueWork): void;
  started(work: DueWork): void;
  ended(work: DueWork, outcome: Outcome): void;
  /** See `Destinations`. */
  readonly placesOf: Destinations["placesOf"];
  /** Returns the triggers that wait in memory, which then no longer wait. Drops those that are being put off. */
  clear(): HeldTrigger[];
}

/** What admission needs. */
export interface AdmissionParts {
  readonly database: Database;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly holding: Holding;
  readonly flowStore: FlowStore;
  /** Places of a lane of webhooks. */
  readonly perLane: number;
  readonly lanes: () => DueLanes;
  /** Makes a held trigger wait until an instant, in epoch milliseconds; then it is routed again. */
  readonly waitUntil: (trigger: HeldTrigger, dueMs: number) => void;
  /** Routes triggers again that have waited. */
  readonly route: (triggers: readonly HeldTrigger[]) => void;
  /** Called when triggers got into their lanes after `enter` had returned. */
  readonly onAdmitted: () => void;
}

/** Makes an admission. A job without a flow key whose destination works passes it at once. */
export function createAdmission(parts: AdmissionParts): Admission {
  const { clock, lanes } = parts;
  const waits = createWaits(parts);
  const add = (trigger: HeldTrigger, spec: Spec, flowKey: string | undefined) =>
    lanes().add({ trigger, spec, flowKey }, trigger.projectId, spec.destination, trackOf(trigger, spec));
  const gate = createFlowGate({
    ...parts,
    store: parts.flowStore,
    waits,
    onGranted: add,
    onAllGranted: parts.onAdmitted,
    mayAttempt: (trigger, { retryPolicy }) => mayAttempt(retryPolicy, trigger, clock.now()),
    onExpired: (trigger) => parts.route([trigger]),
  });
  const destinations = createDestinations({
    ...parts,
    waits,
    onPlaces: (projectId, destination) => lanes().adapt(projectId, destination),
    onReleased: (triggers) => {
      parts.route(triggers);
      parts.onAdmitted();
    },
  });
  const left = ({ flowKey }: DueWork, hasStarted: boolean) => {
    if (flowKey !== undefined) gate.left(flowKey, hasStarted);
  };
  return {
    get size() {
      return gate.size + destinations.size;
    },
    get blocked() {
      return destinations.blocked;
    },
    enter: (trigger, spec) => {
      if (destinations.isBlocked(trigger, spec)) destinations.enter(trigger, spec);
      else if (spec.flow !== undefined) gate.enter(trigger, spec, spec.flow);
      else add(trigger, spec, undefined);
    },
    mayClaim: ({ trigger, spec }) => !destinations.isBlocked(trigger, spec),
    turnAway: (work) => {
      left(work, false);
      destinations.enter(work.trigger, work.spec);
    },
    left: (work) => left(work, false),
    started: ({ trigger, spec, flowKey }) => {
      destinations.started(trigger, spec);
      if (flowKey !== undefined) gate.started(flowKey);
    },
    ended: (work, outcome) => {
      destinations.ended(work.trigger, work.spec, outcome);
      left(work, true);
    },
    placesOf: destinations.placesOf,
    clear: () => {
      waits.clear();
      return [...gate.clear(), ...destinations.clear()];
    },
  };
}

function trackOf(trigger: HeldTrigger, { isOrdered }: Spec): TrackName {
  // It keeps back all later triggers of its job, so it must not wait while those of other jobs come again and again.
  if (isOrdered) return "first";
  if (isLate(trigger)) return "late";
  return trigger.attemptCount > 0 ? "retry" : "first";
}
