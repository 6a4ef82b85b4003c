import type { Clock } from "../../mesh/clock.ts";
import type { Spec, SpecFlow } from "../delivery/spec.ts";
import type { Events } from "../events/events.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import { aheadOf, createFlowKey, type FlowKey, isSame, measure } from "./flow-key.ts";
import { type FlowAnswer, type FlowRequest, type FlowStore, MAX_REQUESTS } from "./flow-store.ts";
import type { Waiter } from "./key-queue.ts";
import type { Waits } from "./waits.ts";

/** Lets due triggers of jobs with a flow key through, as the limits of the key allow. */
export interface FlowGate {
  /** How many triggers wait in memory. */
  readonly size: number;
  /** Takes a due trigger. It is granted at once, or waits, or is put off. */
  enter(trigger: HeldTrigger, spec: Spec, flow: SpecFlow): void;
  /** A granted attempt has started. */
  started(key: string): void;
  /** A granted attempt has ended, or, if it has not started, will not be made: its place is free. */
  left(key: string, hasStarted: boolean): void;
  /** Returns the waiting triggers, which then no longer wait. */
  clear(): HeldTrigger[];
}

/** What a gate needs. */
export interface FlowGateParts {
  readonly store: FlowStore;
  readonly clock: Clock;
  readonly events: Events;
  readonly holding: Holding;
  readonly waits: Waits;
  /** Called with each trigger that may start now. It holds a place of its key until `left` is called. */
  readonly onGranted: (trigger: HeldTrigger, spec: Spec, key: string) => void;
  /** Called after `onGranted` was called for one trigger or more. */
  readonly onAllGranted: () => void;
  /** Whether the trigger may still be attempted. */
  readonly mayAttempt: (trigger: HeldTrigger, spec: Spec) => boolean;
  /** Called with a waiting trigger that may not be attempted any more. */
  readonly onExpired: (trigger: HeldTrigger) => void;
}

interface GateState {
  readonly parts: FlowGateParts;
  readonly keys: Map<string, FlowKey>;
  /** How many triggers of each project wait in memory. */
  readonly perProject: Map<string, number>;
  /** The keys to ask for. */
  toAsk: FlowKey[];
  /** The waiters for which the store has not been asked yet. */
  entered: Waiter[];
  /** Places to be released, by key. */
  readonly toRelease: Map<string, number>;
  isPumping: boolean;
  size: number;
  sweeper: NodeJS.Timeout | undefined;
}

/** As many triggers of a key wait in memory as have their turn within this time, but at least MIN_OF_KEY. */
const IN_MEMORY_MS = 20_000;
const MIN_OF_KEY = 1_000;
/** Most triggers of all keys of a project that wait in memory. The others are put off in PostgreSQL. */
const MAX_OF_PROJECT = 50_000;
/** A trigger is put off for at most this long, and for at least as long as `Waits` says. */
const MAX_DEFERRAL_MS = 300_000;
/** It comes back after this part of the time until its turn, because the time is only estimated. */
const EARLY = 0.9;
/** If a store fails, which it promises not to do. */
const FAILURE_MS = 1_000;
/** Waiting triggers are looked through for those that are too old to be tried again. */
const SWEEP_MS = 30_000;

/** Makes a gate. Each key has its own queue, so a key that waits delays no other. */
export function createFlowGate(parts: FlowGateParts): FlowGate {
  const state: GateState = {
    parts,
    keys: new Map(),
    perProject: new Map(),
    toAsk: [],
    entered: [],
    toRelease: new Map(),
    isPumping: false,
    size: 0,
    sweeper: undefined,
  };
  return {
    get size() {
      return state.size;
    },
    enter: (trigger, spec, flow) => enter(state, { trigger, spec, isWaiting: true }, flow),
    started: (name) => {
      const key = state.keys.get(name);
      if (key === undefined) return;
      key.unstarted -= 1;
      if (key.queue.size > 0 && key.timer === undefined) ask(state, key);
      forgetIfIdle(state, key);
    },
    left: (name, hasStarted) => left(state, name, hasStarted),
    clear: () => clear(state),
  };
}

function enter(state: GateState, waiter: Waiter, flow: SpecFlow): void {
  const { trigger } = waiter;
  const { projectId } = trigger;
  const name = `${projectId} ${flow.key}`;
  const key = state.keys.get(name) ?? createFlowKey(name, projectId, flow.limits);
  state.keys.set(name, key);
  if (!hasRoom(state, key, trigger)) {
    defer(state, key, trigger);
    return;
  }
  if (key.queue.size === 0) key.limits = flow.limits;
  else if (key.limits !== undefined && !isSame(key.limits, flow.limits)) key.limits = undefined;
  key.queue.push(waiter);
  count(state, projectId, 1);
  if (key.timer === undefined && ask(state, key)) state.entered.push(waiter);
  else state.parts.waits.begin(waiter, "FLOW");
  state.sweeper ??= setTimeout(sweep, SWEEP_MS, state).unref();
}

/** Whether a trigger may wait in memory. What comes for the first time waits behind what was put off. */
function hasRoom({ parts, perProject }: GateState, key: FlowKey, trigger: HeldTrigger): boolean {
  if (key.queue.size >= Math.max(MIN_OF_KEY, IN_MEMORY_MS / key.paceMs)) return false;
  if (key.queue.size > 0 && (perProject.get(key.projectId) ?? 0) >= MAX_OF_PROJECT) return false;
  return trigger.waitingFor !== null || key.deferredUntilMs <= parts.clock.now();
}

/** Puts a trigger off until about the time at which it has its turn behind what waits and what was put off before. */
function defer({ parts }: GateState, key: FlowKey, trigger: HeldTrigger): void {
  const nowMs = parts.clock.now();
  const turnMs = Math.max(key.deferredUntilMs, nowMs + key.queue.size * key.paceMs) + key.paceMs;
  key.deferredUntilMs = Math.min(turnMs, nowMs + MAX_DEFERRAL_MS);
  const pauseMs = (key.deferredUntilMs - nowMs) * EARLY;
  parts.waits.defer(trigger, "FLOW", Math.round(nowMs + pauseMs));
}

function count(state: GateState, projectId: string, change: number): void {
  state.size += change;
  const sum = (state.perProject.get(projectId) ?? 0) + change;
  if (sum > 0) state.perProject.set(projectId, sum);
  else state.perProject.delete(projectId);
}

/** Asks the store for a key soon, in this turn of the event loop. Returns whether it will be asked. */
function ask(state: GateState, key: FlowKey): boolean {
  if (key.isAsking) return true;
  const limits = key.limits ?? key.queue.peek()?.spec.flow?.limits;
  if (limits === undefined || key.unstarted >= aheadOf(limits)) return false;
  clearTimeout(key.timer);
  key.timer = undefined;
  key.isAsking = true;
  state.toAsk.push(key);
  startPump(state);
  return true;
}

function startPump(state: GateState): void {
  if (state.isPumping) return;
  state.isPumping = true;
  queueMicrotask(() => void pump(state));
}

async function pump(state: GateState): Promise<void> {
  while (state.toAsk.length > 0 || state.toRelease.size > 0) {
    flushReleases(state);
    const keys = state.toAsk.slice(0, MAX_REQUESTS);
    state.toAsk = state.toAsk.slice(MAX_REQUESTS);
    const { entered } = state;
    state.entered = [];
    const asked = keys.flatMap((key) => toRequest(state, key));
    const [of, requests] = [asked.map(({ key }) => key), asked.map(({ request }) => request)];
    if (asked.length > 0) await askStore(state, of, requests);
    for (const waiter of entered) if (waiter.isWaiting) state.parts.waits.begin(waiter, "FLOW");
  }
  state.isPumping = false;
}

function flushReleases({ parts, toRelease }: GateState): void {
  if (toRelease.size === 0) return;
  const releases = [...toRelease].map(([key, count]) => ({ key, count }));
  toRelease.clear();
  parts.store.release(releases);
}

function toRequest(state: GateState, key: FlowKey): { key: FlowKey; request: FlowRequest }[] {
  const limits = key.limits ?? key.queue.peek()?.spec.flow?.limits;
  if (limits === undefined || key.queue.size === 0) {
    key.isAsking = false;
    forgetIfIdle(state, key);
    return [];
  }
  // With different limits, each trigger asks for itself.
  const most = key.limits === undefined ? 1 : aheadOf(limits) - key.unstarted;
  const wanted = Math.max(1, Math.min(key.queue.size, most));
  return [{ key, request: { key: key.name, limits, wanted } }];
}

async function askStore(
  state: GateState,
  keys: readonly FlowKey[],
  requests: readonly FlowRequest[],
): Promise<void> {
  const { store, events, onAllGranted } = state.parts;
  let answers: readonly FlowAnswer[] = [];
  try {
    answers = await store.take(requests);
  } catch (error) {
    events.emit("trouble", { part: "flow control", error });
  }
  let granted = 0;
  for (const [index, key] of keys.entries()) {
    const request = requests[index];
    const answer = answers[index] ?? { granted: 0, againMs: FAILURE_MS };
    if (request !== undefined) granted += apply(state, key, request, answer);
  }
  if (granted > 0) onAllGranted();
}

/** Lets granted triggers through, and asks again when that may help. Returns how many were let through. */
function apply(state: GateState, key: FlowKey, { limits, wanted }: FlowRequest, answer: FlowAnswer): number {
  key.isAsking = false;
  let used = 0;
  while (used < answer.granted) {
    const waiter = nextHeld(state, key);
    if (waiter === undefined) break;
    used += 1;
    key.unstarted += 1;
    state.parts.onGranted(waiter.trigger, waiter.spec, key.name);
  }
  if (used > 0) measure(key, used);
  release(state, key.name, answer.granted - used);
  if (key.queue.size === 0) forgetIfIdle(state, key);
  else if (answer.granted < wanted) {
    key.needsPlace = limits.maxInFlight !== undefined;
    key.timer = setTimeout(askAgain, answer.againMs, state, key).unref();
  } else ask(state, key);
  return used;
}

function askAgain(state: GateState, key: FlowKey): void {
  key.timer = undefined;
  ask(state, key);
}

/** Removes and returns the next waiter whose trigger is still held. */
function nextHeld(state: GateState, key: FlowKey): Waiter | undefined {
  for (;;) {
    const waiter = key.queue.shift();
    if (waiter === undefined) return undefined;
    count(state, key.projectId, -1);
    const isWanted = waiter.isWaiting && state.parts.holding.holds(waiter.trigger);
    waiter.isWaiting = false;
    if (isWanted) return waiter;
  }
}

function left(state: GateState, name: string, hasStarted: boolean): void {
  release(state, name, 1);
  const key = state.keys.get(name);
  if (key === undefined) return;
  if (!hasStarted) key.unstarted -= 1;
  if (key.queue.size > 0 && (key.needsPlace || key.timer === undefined)) ask(state, key);
  forgetIfIdle(state, key);
}

function release(state: GateState, name: string, places: number): void {
  if (places <= 0) return;
  state.toRelease.set(name, (state.toRelease.get(name) ?? 0) + places);
  startPump(state);
}

function forgetIfIdle({ keys, parts }: GateState, key: FlowKey): void {
  const isIdle = key.queue.size === 0 && key.unstarted === 0 && !key.isAsking;
  if (isIdle && key.deferredUntilMs <= parts.clock.now()) keys.delete(key.name);
}

/** Lets go of the triggers that wait and may not be attempted any more, and of the keys that nobody needs. */
function sweep(state: GateState): void {
  const { mayAttempt, onExpired } = state.parts;
  for (const key of state.keys.values()) {
    for (const waiter of key.queue.items()) {
      if (!waiter.isWaiting || mayAttempt(waiter.trigger, waiter.spec)) continue;
      waiter.isWaiting = false;
      onExpired(waiter.trigger);
    }
    forgetIfIdle(state, key);
  }
  state.sweeper = state.keys.size === 0 ? undefined : setTimeout(sweep, SWEEP_MS, state).unref();
}

function clear(state: GateState): HeldTrigger[] {
  const waiting: HeldTrigger[] = [];
  for (const key of state.keys.values()) {
    clearTimeout(key.timer);
    key.timer = undefined;
    key.deferredUntilMs = 0;
    for (const waiter of key.queue.clear()) {
      count(state, key.projectId, -1);
      if (waiter.isWaiting) waiting.push(waiter.trigger);
      waiter.isWaiting = false;
    }
    forgetIfIdle(state, key);
  }
  clearTimeout(state.sweeper);
  state.sweeper = undefined;
  return waiting;
}
