import { backoffMs } from "../../mesh/backoff.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Outcome } from "../delivery/outcome.ts";
import type { Spec } from "../delivery/spec.ts";
import type { Events } from "../events/events.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import { countEnded, isTripped, type Verdict, verdictOf } from "./breaker.ts";
import { type Destination, isForgettable } from "./destination.ts";
import { createClassQueue } from "./key-queue.ts";
import { createFullReport, createKnownDestinations, type KnownDestinations } from "./known-destinations.ts";
import { adaptPlaces } from "./places.ts";
import type { Waits } from "./waits.ts";

/**
 * What the attempts at webhooks have shown about their destinations: the origins of each project. A destination that fails
 * gets no attempts but single ones, until one is answered; one that asks for less gets fewer at once.
 */
export interface Destinations {
  /** How many triggers wait in memory. */
  readonly size: number;
  /** How many destinations get no attempts but single ones. */
  readonly blocked: number;
  /** Whether an attempt has to wait. If it may be made because a single one is to be tried, it is that one from now on. */
  isBlocked(trigger: HeldTrigger, spec: Spec): boolean;
  /** Takes a trigger whose attempt has to wait. */
  enter(trigger: HeldTrigger, spec: Spec): void;
  started(trigger: HeldTrigger, spec: Spec): void;
  ended(trigger: HeldTrigger, spec: Spec, outcome: Outcome): void;
  /** Returns how many attempts a destination gets at once; undefined when it has all places of its lane. */
  placesOf(projectId: string, destination: string): number | undefined;
  /** Returns the waiting triggers, which then no longer wait. */
  clear(): HeldTrigger[];
}

/** What destinations need. */
export interface DestinationsParts {
  readonly clock: Clock;
  /** A clock that never steps; performance.now when absent. */
  readonly elapsedMs?: () => number;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  readonly events: Events;
  readonly holding: Holding;
  readonly waits: Waits;
  /** Places of a lane. */
  readonly perLane: number;
  /** Called when the number of places of a destination has changed. */
  readonly onPlaces: (projectId: string, destination: string) => void;
  /** Called with triggers that no longer wait, to be routed again. */
  readonly onReleased: (triggers: readonly HeldTrigger[]) => void;
}

interface State {
  readonly parts: DestinationsParts;
  readonly elapsedMs: () => number;
  readonly known: KnownDestinations;
  /** How many of them are not CLOSED. */
  blocked: number;
  size: number;
  sweeper: NodeJS.Timeout | undefined;
}

/** The pauses between two single attempts. */
const PAUSE = { minMs: 1_000, maxMs: 60_000, jitter: 0.2 };
/** A destination is not held for longer at a time, whatever Retry-After says. Then a single attempt asks again. */
const MAX_RETRY_AFTER_MS = 60_000;
/** If the single attempt has not started after the first time, or has not ended after the second, another one is made. */
const START_LIMIT_MS = 5_000;
const END_LIMIT_MS = 30_000;
/** Most triggers of one destination that wait in memory. The others are put off in PostgreSQL, as long as they waited. */
const MAX_WAITING = 1_000;
const MIN_DEFERRAL_MS = 15_000;
const MAX_DEFERRAL_MS = 300_000;
/** How often destinations are forgotten of which nothing is left to know, or which have not been used for long. */
const SWEEP_MS = 30_000;

/** Makes an empty account of destinations. It costs nothing while no destination fails. */
export function createDestinations(parts: DestinationsParts): Destinations {
  const elapsedMs = parts.elapsedMs ?? (() => performance.now());
  const known = createKnownDestinations(createFullReport(parts.events, elapsedMs));
  const state: State = { parts, elapsedMs, known, blocked: 0, size: 0, sweeper: undefined };
  const find = (projectId: string, destination: string) =>
    known.size === 0 ? undefined : known.get(projectId, destination);
  return {
    get size() {
      return state.size;
    },
    get blocked() {
      return state.blocked;
    },
    isBlocked: (trigger, spec) => {
      if (state.blocked === 0) return false;
      const destination = find(trigger.projectId, spec.destination);
      return destination !== undefined && isBlocked(state, destination, trigger, spec);
    },
    enter: (trigger, spec) => {
      const destination = find(trigger.projectId, spec.destination);
      if (destination === undefined) parts.onReleased([trigger]);
      else enter(state, destination, trigger, spec);
    },
    started: (trigger, spec) => {
      if (state.blocked === 0) return;
      const destination = find(trigger.projectId, spec.destination);
      if (destination === undefined || destination.state === "CLOSED") return;
      destination.startedSince.add(trigger);
      if (destination.probe === trigger) tryAnotherAfter(state, destination, END_LIMIT_MS);
    },
    ended: (trigger, spec, outcome) => {
      if (spec.target.kind !== "webhook") return;
      const verdict = verdictOf(outcome);
      if (verdict === "ALIVE" && state.known.size === 0) return;
      const destination = find(trigger.projectId, spec.destination);
      if (destination !== undefined) ended(state, destination, { trigger, outcome, verdict });
      else if (verdict === "FAILING" || verdict === "BUSY") {
        const added = add(state, trigger.projectId, spec.destination);
        if (added !== undefined) ended(state, added, { trigger, outcome, verdict });
      }
    },
    placesOf: (projectId, destination) => find(projectId, destination)?.places.count,
    clear: () => clear(state),
  };
}

function add(state: State, projectId: string, name: string): Destination | undefined {
  const destination = state.known.add(projectId, name, state.elapsedMs());
  if (destination !== undefined) state.sweeper ??= setTimeout(sweep, SWEEP_MS, state).unref();
  return destination;
}

function isBlocked(state: State, destination: Destination, trigger: HeldTrigger, spec: Spec): boolean {
  if (destination.state === "CLOSED" || destination.probe === trigger) return false;
  destination.lastMs = state.elapsedMs();
  if (isOld(state, trigger, spec)) return false;
  if (destination.state === "OPEN" || destination.probe !== undefined) return true;
  setProbe(state, destination, trigger);
  return false;
}

/**
 * Whether a trigger waits no longer, because maxAge is over. If it has had no attempt, it makes one now, because delivery
 * is promised; otherwise it is not tried again.
 */
function isOld({ parts }: State, { effectiveTimeMs }: HeldTrigger, { retryPolicy }: Spec): boolean {
  return parts.clock.now() >= effectiveTimeMs + retryPolicy.maxAgeMs;
}

function enter(state: State, destination: Destination, trigger: HeldTrigger, spec: Spec): void {
  const { waits, clock, random } = state.parts;
  destination.queue ??= createClassQueue();
  if (destination.queue.size >= MAX_WAITING) {
    const nowMs = clock.now();
    const waitedMs = nowMs - (trigger.waitingSinceMs ?? trigger.dueTimeMs);
    const pauseMs = Math.min(Math.max(waitedMs, MIN_DEFERRAL_MS), MAX_DEFERRAL_MS) * (1 + random() / 2);
    const oldMs = trigger.effectiveTimeMs + spec.retryPolicy.maxAgeMs;
    waits.defer(trigger, destination.reason, Math.round(Math.min(nowMs + pauseMs, Math.max(oldMs, nowMs))));
    return;
  }
  const waiter = { trigger, spec, isWaiting: true };
  destination.queue.push(waiter);
  state.size += 1;
  waits.begin(waiter, destination.reason);
}

interface Ended {
  readonly trigger: HeldTrigger;
  readonly outcome: Outcome;
  readonly verdict: Verdict;
}

function ended(state: State, destination: Destination, { trigger, outcome, verdict }: Ended): void {
  const { perLane, onPlaces } = state.parts;
  const nowMs = state.elapsedMs();
  destination.lastMs = nowMs;
  if (adaptPlaces(destination.places, verdict, perLane, nowMs)) {
    onPlaces(destination.projectId, destination.name);
  }
  const askedMs = verdict === "BUSY" && outcome.kind === "REJECTED" ? (outcome.retryAfterMs ?? 0) : 0;
  const heldMs = Math.min(askedMs, MAX_RETRY_AFTER_MS);
  if (destination.probe === trigger) {
    destination.probe = undefined;
    if (verdict === "ALIVE") close(state, destination);
    else if (verdict === "NONE") tryOne(state, destination);
    else open(state, destination, heldMs);
    return;
  }
  if (verdict !== "NONE") countEnded(destination.window, nowMs, verdict !== "ALIVE");
  if (destination.state === "TRYING") {
    if (verdict === "ALIVE" && destination.startedSince.has(trigger)) close(state, destination);
    return;
  }
  const isOpen = destination.state === "OPEN";
  if (
    isOpen ? nowMs + heldMs > destination.untilMs && heldMs > 0 : heldMs > 0 || isTripped(destination.window)
  )
    open(state, destination, heldMs);
}

/** Lets no attempt through for a pause that grows with each time in a row, and lasts at least `heldMs`. */
function open(state: State, destination: Destination, heldMs: number): void {
  const { random, events } = state.parts;
  if (destination.state === "CLOSED") {
    state.blocked += 1;
    destination.startedSince = new WeakSet();
  }
  if (destination.state !== "OPEN" && heldMs === 0) destination.openings += 1;
  const attempt = Math.max(1, destination.openings);
  const pauseMs = Math.max(heldMs, destination.openings === 0 ? 0 : backoffMs({ attempt, ...PAUSE, random }));
  destination.reason = heldMs > 0 ? "RETRY_AFTER" : "BREAKER";
  destination.state = "OPEN";
  destination.untilMs = state.elapsedMs() + pauseMs;
  clearTimeout(destination.timer);
  destination.timer = setTimeout(tryOne, pauseMs, state, destination).unref();
  const { projectId, name } = destination;
  events.emit("destination", { projectId, destination: name, state: "BLOCKED", pauseMs });
}

/** Lets a single attempt through: one that waits in memory, or else the next one that comes. */
function tryOne(state: State, destination: Destination): void {
  destination.state = "TRYING";
  destination.probe = undefined;
  clearTimeout(destination.timer);
  releaseOld(state, destination);
  const [trigger] = take(state, destination, 1);
  if (trigger === undefined) return;
  setProbe(state, destination, trigger);
  state.parts.onReleased([trigger]);
}

function setProbe(state: State, destination: Destination, trigger: HeldTrigger): void {
  destination.probe = trigger;
  tryAnotherAfter(state, destination, START_LIMIT_MS);
}

function tryAnotherAfter(state: State, destination: Destination, limitMs: number): void {
  clearTimeout(destination.timer);
  destination.timer = setTimeout(tryOne, limitMs, state, destination).unref();
}

/** All attempts may be made again. */
function close(state: State, destination: Destination): void {
  const { onReleased, events } = state.parts;
  clearTimeout(destination.timer);
  if (destination.state !== "CLOSED") state.blocked -= 1;
  destination.state = "CLOSED";
  destination.openings = 0;
  destination.window.ended.fill(0);
  destination.window.failed.fill(0);
  const { projectId, name } = destination;
  events.emit("destination", { projectId, destination: name, state: "OPEN", pauseMs: 0 });
  const released = take(state, destination, Number.POSITIVE_INFINITY);
  if (released.length > 0) onReleased(released);
}

/** Removes and returns triggers that wait and are still held. */
function take(state: State, { queue }: Destination, limit: number): HeldTrigger[] {
  const taken: HeldTrigger[] = [];
  while (taken.length < limit) {
    const waiter = queue?.shift();
    if (waiter === undefined) break;
    state.size -= 1;
    if (waiter.isWaiting && state.parts.holding.holds(waiter.trigger)) taken.push(waiter.trigger);
    waiter.isWaiting = false;
  }
  return taken;
}

function releaseOld(state: State, { queue }: Destination): void {
  const old = (queue?.items() ?? []).filter(
    ({ isWaiting, trigger, spec }) =>
      isWaiting && isOld(state, trigger, spec) && state.parts.holding.holds(trigger),
  );
  for (const waiter of old) waiter.isWaiting = false;
  if (old.length > 0) state.parts.onReleased(old.map(({ trigger }) => trigger));
}

function sweep(state: State): void {
  const nowMs = state.elapsedMs();
  for (const destination of state.known.values()) {
    if (isForgettable(destination, nowMs)) forget(state, destination);
  }
  state.sweeper = state.known.size === 0 ? undefined : setTimeout(sweep, SWEEP_MS, state).unref();
}

function forget(state: State, destination: Destination): void {
  clearTimeout(destination.timer);
  if (destination.state !== "CLOSED") state.blocked -= 1;
  state.known.remove(destination);
  // Its lane has all places again.
  if (destination.places.count !== undefined) {
    state.parts.onPlaces(destination.projectId, destination.name);
  }
}

function clear(state: State): HeldTrigger[] {
  const all: HeldTrigger[] = [];
  for (const destination of state.known.values()) {
    all.push(...take(state, destination, Number.POSITIVE_INFINITY));
    destination.probe = undefined;
  }
  return all;
}
