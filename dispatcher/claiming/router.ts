import type { Database } from "../../db/pool.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import { pause } from "../../mesh/pause.ts";
import { mayAttempt } from "../delivery/next-state.ts";
import type { SpecCache } from "../delivery/spec-cache.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import { createFifo, type Fifo } from "../lanes/fifo.ts";
import { type HeldTrigger, isLate } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import { exhaustTriggers } from "./claims.ts";
import type { DueLanes } from "./due-work.ts";

/** Brings due triggers into their lanes. */
export interface Router {
  /** How many still wait for their specification, or for their end. */
  readonly size: number;
  /** Puts each into the lane of its destination, reading first the specifications that are not at hand. */
  route(triggers: readonly HeldTrigger[]): void;
  /** Drops those that wait. */
  clear(): void;
}

const BATCH = 500;
const FAILURE_PAUSE = { minMs: 50, maxMs: 1_000, jitter: 0.2 };

/** Makes a router. A trigger whose attempts or time are used up is ended instead. */
export function createRouter(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly specs: SpecCache;
  readonly holding: Holding;
  readonly lanes: DueLanes;
  /** Told when lanes have been filled later than by `route` itself. */
  readonly onRouted: () => void;
}): Router {
  const { database, clock, random, events, lease, specs, holding, lanes, onRouted } = parts;
  const unread = createFifo<HeldTrigger>();
  const unended = createFifo<HeldTrigger>();
  let inWork = 0;
  let isWorking = false;
  let generation = 0;

  const place = (trigger: HeldTrigger): void => {
    const spec = specs.get(trigger);
    if (spec === undefined) unread.push(trigger);
    else if (!mayAttempt(spec.retryPolicy, trigger, clock.now())) unended.push(trigger);
    else lanes.add({ trigger, spec }, trigger.projectId, spec.destination, isLate(trigger));
  };

  const readSpecs = async (batch: readonly HeldTrigger[]): Promise<void> => {
    const startedIn = generation;
    await specs.load(batch);
    if (startedIn === generation) batch.forEach(place);
  };

  const end = async (batch: readonly HeldTrigger[]): Promise<void> => {
    await exhaustTriggers(database, batch, { instance: lease.instance, nowMs: clock.now() });
    batch.forEach(holding.drop);
  };

  const workOff = async (
    queue: Fifo<HeldTrigger>,
    step: (batch: readonly HeldTrigger[]) => Promise<void>,
  ) => {
    const startedIn = generation;
    const batch: HeldTrigger[] = [];
    for (
      let next = queue.shift();
      next !== undefined;
      next = batch.length < BATCH ? queue.shift() : undefined
    ) {
      batch.push(next);
    }
    if (batch.length === 0) return;
    inWork = batch.length;
    try {
      await step(batch);
    } catch (error) {
      if (startedIn === generation) for (const trigger of batch) queue.push(trigger);
      throw error;
    } finally {
      inWork = 0;
    }
    onRouted();
  };

  const work = async (): Promise<void> => {
    let failures = 0;
    while (unread.size + unended.size > 0) {
      try {
        await workOff(unread, readSpecs);
        await workOff(unended, end);
        if (failures > 0) events.emit("recovered", { part: "specifications", failures });
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures === 1) events.emit("trouble", { part: "specifications", error });
        await pause(backoffMs({ attempt: failures, ...FAILURE_PAUSE, random }));
      }
    }
    isWorking = false;
  };

  return {
    get size() {
      return unread.size + unended.size + inWork;
    },
    route: (triggers) => {
      triggers.forEach(place);
      if (isWorking || unread.size + unended.size === 0) return;
      isWorking = true;
      void work();
    },
    clear: () => {
      generation += 1;
      [...unread.clear(), ...unended.clear()].forEach(holding.drop);
    },
  };
}
