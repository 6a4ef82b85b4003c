import type { Database } from "../../db/pool.ts";
import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import { pause } from "../../mesh/pause.ts";
import { mayAttempt } from "../delivery/next-state.ts";
import { nameOfRevision, type SpecCache } from "../delivery/spec-cache.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import { createFifo, type Fifo } from "../lanes/fifo.ts";
import type { SetAside } from "../set-aside/set-aside.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import type { Admission } from "./admission.ts";
import { exhaustTriggers } from "./claims.ts";
import { MOST_EARLIER } from "./ordering.sql.ts";
import { readEarlier, toLines } from "./ordering.ts";
import type { FailedTrigger, PutBack } from "./put-back.ts";

/** Passes due triggers on to the lanes of their destinations, or to what they have to wait for (`Admission`). */
export interface Router {
  /**
   * How many triggers wait for their specification to be read, for their place in the order to be looked up, or to be
   * ended.
   */
  readonly size: number;
  /** Passes each trigger on. If its specification is not in the cache, it is read first. */
  route(triggers: readonly HeldTrigger[]): void;
  /** Drops the triggers that wait. */
  clear(): void;
}

/** What a router needs. */
export interface RouterParts {
  /** For ending triggers. */
  readonly database: Database;
  /** For looking up the order of triggers. */
  readonly waitDatabase: Database;
  readonly clock: Clock;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly lease: Lease;
  readonly specs: SpecCache;
  readonly holding: Holding;
  readonly admission: Admission;
  readonly putBack: PutBack;
  readonly setAside: SetAside;
  /** Called when triggers were passed on after `route` had returned. */
  readonly onRouted: () => void;
}

interface RouterState {
  readonly parts: RouterParts;
  /** Triggers whose specification is not in the cache. */
  readonly unread: Fifo<HeldTrigger>;
  /** Triggers that have no attempt or no time left, and must be ended in the database. */
  readonly exhausted: Fifo<HeldTrigger>;
  /** Due triggers of jobs whose triggers are delivered one after the other. */
  readonly ordered: Fifo<HeldTrigger>;
  /** How many triggers the statement under way is about. */
  inWork: number;
  /** Whether `workOff` runs. */
  isWorking: boolean;
  /** How often `clear` was called: a statement that was sent before it must not put its triggers back. */
  generation: number;
}

/** Most triggers of one statement. */
const BATCH = 500;
const FAILURE_PAUSE = { minMs: 50, maxMs: 1_000, jitter: 0.2 };
/**
 * How long an ordered trigger waits until it is looked at again, for each earlier one. The first to come is found soon, and
 * a long queue costs little.
 */
const ORDERED_PAUSE_MS = 100;

/**
 * Makes a router. A trigger that has no attempt or no time left is ended as EXHAUSTED instead of put into a lane. A
 * trigger whose specification cannot be read is set aside. One whose job is ordered waits, and looks again, while an
 * earlier trigger of the job has not ended.
 */
export function createRouter(parts: RouterParts): Router {
  const state: RouterState = {
    parts,
    unread: createFifo(),
    exhausted: createFifo(),
    ordered: createFifo(),
    inWork: 0,
    isWorking: false,
    generation: 0,
  };
  return {
    get size() {
      return queued(state) + state.inWork;
    },
    route: (triggers) => {
      for (const trigger of triggers) place(state, trigger);
      if (state.isWorking || queued(state) === 0) return;
      state.isWorking = true;
      void workOff(state);
    },
    clear: () => {
      state.generation += 1;
      [...state.unread.clear(), ...state.exhausted.clear(), ...state.ordered.clear()].forEach(
        parts.holding.drop,
      );
    },
  };
}

function queued({ unread, exhausted, ordered }: RouterState): number {
  return unread.size + exhausted.size + ordered.size;
}

function place(state: RouterState, trigger: HeldTrigger): void {
  const { specs, clock, admission } = state.parts;
  const spec = specs.get(trigger);
  if (spec === undefined) state.unread.push(trigger);
  else if (!mayAttempt(spec.retryPolicy, trigger, clock.now())) state.exhausted.push(trigger);
  else if (spec.isOrdered) state.ordered.push(trigger);
  else admission.enter(trigger, spec);
}

/** Empties both queues. A statement that fails is repeated until it succeeds. */
async function workOff(state: RouterState): Promise<void> {
  const { events, random } = state.parts;
  let failures = 0;
  while (queued(state) > 0) {
    try {
      await workOffBatch(state, state.unread, readSpecs);
      await workOffBatch(state, state.exhausted, endTriggers);
      await workOffBatch(state, state.ordered, releaseFirst);
      if (failures > 0) events.emit("recovered", { part: "specifications", failures });
      failures = 0;
    } catch (error) {
      failures += 1;
      events.emit("trouble", { part: "specifications", error });
      await pause(backoffMs({ attempt: failures, ...FAILURE_PAUSE, random }));
    }
  }
  state.isWorking = false;
}

type Step = (state: RouterState, batch: readonly HeldTrigger[]) => Promise<void>;

/** Runs `step` for one batch of a queue. If it fails, the batch goes back into the queue, unless `clear` was called: then it is dropped. */
async function workOffBatch(state: RouterState, queue: Fifo<HeldTrigger>, step: Step): Promise<void> {
  const { generation } = state;
  const batch = takeBatch(queue);
  if (batch.length === 0) return;
  state.inWork = batch.length;
  try {
    await step(state, batch);
  } catch (error) {
    if (generation === state.generation) for (const trigger of batch) queue.push(trigger);
    else batch.forEach(state.parts.holding.drop);
    throw error;
  } finally {
    state.inWork = 0;
  }
  state.parts.onRouted();
}

function takeBatch(queue: Fifo<HeldTrigger>): HeldTrigger[] {
  const batch: HeldTrigger[] = [];
  while (batch.length < BATCH) {
    const trigger = queue.shift();
    if (trigger === undefined) break;
    batch.push(trigger);
  }
  return batch;
}

async function readSpecs(state: RouterState, batch: readonly HeldTrigger[]): Promise<void> {
  const { generation } = state;
  const { specs, putBack, setAside } = state.parts;
  const errors = await specs.load(batch);
  if (generation !== state.generation) return batch.forEach(state.parts.holding.drop);
  const failed: FailedTrigger[] = [];
  const names = new Set<string>();
  for (const trigger of batch) {
    const name = nameOfRevision(trigger);
    if (errors.has(name)) failed.push({ item: trigger, error: errors.get(name) });
    else {
      names.add(name);
      place(state, trigger);
    }
  }
  setAside.remove("specification", names);
  if (failed.length > 0) await putBack.setAside("specification", failed);
}

async function endTriggers(state: RouterState, batch: readonly HeldTrigger[]): Promise<void> {
  const { generation } = state;
  const { database, lease, clock, holding, putBack } = state.parts;
  const by = { instance: lease.instance, nowMs: clock.now() };
  const { claimed, postponed, failed } = await exhaustTriggers(database, batch, by);
  if (generation !== state.generation) return batch.forEach(holding.drop);
  const bad = new Set(failed.map(({ item }) => item));
  putBack.handled(batch.filter(({ id }) => claimed.has(id)));
  if (claimed.size > 0) state.parts.events.emit("exhausted", { count: claimed.size });
  for (const trigger of batch) {
    const dueMs = postponed.get(trigger.id);
    if (dueMs !== undefined) putBack.postpone(trigger, dueMs);
    else if (!bad.has(trigger)) holding.drop(trigger);
  }
  if (failed.length > 0) await putBack.setAside("trigger", failed);
}

/**
 * Passes those on that no earlier trigger of their job keeps back. The others wait and come again. Only the first of each
 * job is looked up; the others have their places behind it.
 */
async function releaseFirst(state: RouterState, batch: readonly HeldTrigger[]): Promise<void> {
  const { generation } = state;
  const { waitDatabase, clock, holding, specs, putBack, admission } = state.parts;
  const lines = toLines(batch);
  const earlier = await readEarlier(
    waitDatabase,
    lines.map(([first]) => first),
  );
  if (generation !== state.generation) return batch.forEach(holding.drop);
  const nowMs = clock.now();
  const wait = (trigger: HeldTrigger, place: number) =>
    putBack.postpone(trigger, nowMs + Math.min(place, MOST_EARLIER) * ORDERED_PAUSE_MS);
  for (const [first, ...others] of lines) {
    const count = earlier.get(first.id);
    const spec = specs.get(first);
    for (const [index, trigger] of others.entries()) wait(trigger, (count ?? 0) + index + 1);
    // It has ended, or was taken back.
    if (count === undefined) holding.drop(first);
    else if (spec === undefined) state.unread.push(first);
    else if (count === 0) admission.enter(first, spec);
    else wait(first, count);
  }
}
