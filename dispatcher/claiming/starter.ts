import type { Clock } from "../../mesh/clock.ts";
import { type AttemptParts, makeAttempt } from "../delivery/attempt.ts";
import { newAttemptId } from "../delivery/attempt-id.ts";
import { nextState } from "../delivery/next-state.ts";
import type { Delivery } from "../delivery/outcome.ts";
import type { StartedAttempt } from "../delivery/started-attempt.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import type { Results } from "../results/results.ts";
import type { TriggerTraces } from "../tracing/trigger-traces.ts";
import { HORIZON_MS } from "../waiting/horizon.ts";
import type { Admission } from "./admission.ts";
import type { DueLanes, LaneWork } from "./due-work.ts";

/** Starts claimed attempts. */
export interface Starter {
  /** Starts every attempt that is ready and that the limits of the lanes allow. */
  start(): void;
}

/** Makes a starter. When an attempt ends, the starter adds its result to `results`. */
export function createStarter(parts: {
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly lanes: DueLanes;
  readonly admission: Admission;
  readonly attempt: AttemptParts;
  readonly results: Results;
  readonly traces?: TriggerTraces | undefined;
  /** Asked before each start. */
  readonly mayStart: () => boolean;
  /** Called when an attempt has ended and its slot is free. */
  readonly onEnded: () => void;
}): Starter {
  const { clock, random, events, lease, lanes, admission, results, onEnded } = parts;

  const run = (work: LaneWork): void => {
    const { trigger, spec } = work.item;
    admission.started(work.item);
    const number = trigger.attemptCount + 1;
    trigger.attemptCount = number;
    const attempt = { trigger, spec, number, startTimeMs: clock.now() };
    const startedAtMs = performance.now();
    const ended = (delivery: Delivery) => end(work, attempt, startedAtMs, delivery);
    const failed = (error: unknown) => ended(toFault(error));
    try {
      makeAttempt(parts.attempt, attempt).then(ended, failed);
    } catch (error) {
      // Not at once: its end starts the next attempt, which may fail in the same way.
      queueMicrotask(() => failed(error));
    }
  };

  const end = (work: LaneWork, attempt: StartedAttempt, startedAtMs: number, delivery: Delivery): void => {
    const { trigger, spec, number, startTimeMs } = attempt;
    const durationMs = Math.round(performance.now() - startedAtMs);
    const endTimeMs = clock.now();
    const next = nextState({
      outcome: delivery.outcome,
      policy: spec.retryPolicy,
      attempt: number - trigger.attemptBase,
      nowMs: endTimeMs,
      effectiveTimeMs: trigger.effectiveTimeMs,
      nextFireTimeMs: trigger.nextFireTimeMs,
      acknowledgeWithinMs: spec.acknowledgeWithinMs,
      random,
    });
    const isNear = next.state === "RETRYING" && next.dueTimeMs <= endTimeMs + HORIZON_MS;
    const owner = isNear && lease.isValid() ? lease.instance : null;
    const attemptId = newAttemptId(endTimeMs);
    results.add({ trigger, attemptId, number, startTimeMs, endTimeMs, durationMs, delivery, next, owner });
    lanes.ended(work);
    parts.traces?.attempted(attempt, delivery.outcome, endTimeMs);
    admission.ended(work.item, delivery.outcome);
    const { outcome, cause } = delivery;
    const about = { triggerId: trigger.id, number, startTimeMs, trigger, spec };
    events.emit("attempt", { ...about, outcome, state: next.state, durationMs, cause });
    onEnded();
  };

  return {
    start: () => {
      while (parts.mayStart()) {
        const work = lanes.takeToStart();
        if (work === undefined) return;
        run(work);
      }
    },
  };
}

// makeAttempt never throws for what a target does. So this is a bug in EasyCron, and the attempt is retried.
function toFault(cause: unknown): Delivery {
  const error = "The attempt failed because of an error in EasyCron; the request may have arrived.";
  return { outcome: { kind: "UNKNOWN" }, error, responseBody: "", cause };
}
