import { isItemFault } from "../../db/item-fault.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import type { Events } from "../events/events.ts";
import type { Lease } from "../instances/lease.ts";
import { createFifo } from "../lanes/fifo.ts";
import type { HeldTrigger, WaitingForName } from "../waiting/held-trigger.ts";
import type { Holding } from "../waiting/holding.ts";
import { HORIZON_MS } from "../waiting/horizon.ts";
import { toNames, toStarts } from "../waiting/names.ts";
import { triggerReadUnclaimed } from "../waiting/triggers.sql.ts";
import type { Waiter } from "./key-queue.ts";
import { triggerDefer, triggerShowWait } from "./waits.sql.ts";

/** Records in PostgreSQL what due triggers wait for. */
export interface Waits {
  /** A trigger begins to wait in memory. If it still waits after about a quarter of a second, customers see it. */
  begin(waiter: Waiter, reason: WaitingForName): void;
  /**
   * Puts a trigger off: it is due at `dueMs`, or 12 s after it is recorded if that is later, and, as soon as that is
   * recorded, neither held nor owned. If it cannot be recorded now, the trigger stays held and is routed again after a second.
   */
  defer(trigger: HeldTrigger, reason: WaitingForName, dueMs: number): void;
  /** Forgets what is to be recorded, and drops the triggers that are to be put off. */
  clear(): void;
}

/** What recording waits needs. */
export interface WaitsParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
  readonly lease: Lease;
  readonly holding: Holding;
  /** Makes a held trigger wait until an instant, in epoch milliseconds; then it is routed again. */
  readonly waitUntil: (trigger: HeldTrigger, dueMs: number) => void;
}

interface Deferral {
  readonly trigger: HeldTrigger;
  readonly reason: WaitingForName;
  readonly dueMs: number;
}

interface WaitsState {
  readonly parts: WaitsParts;
  /** Waiters that customers do not see yet, and since when they wait. */
  readonly unshown: ReturnType<typeof createFifo<{ readonly waiter: Waiter; readonly sinceMs: number }>>;
  /** Triggers of which the row does not have what they wait for. */
  readonly notInRow: WeakSet<HeldTrigger>;
  deferrals: Deferral[];
  timer: NodeJS.Timeout | undefined;
  isDeferring: boolean;
  /** How often `clear` was called. */
  generation: number;
}

/**
 * A trigger is put off for at least this long. Dispatchers take what is due within HORIZON_MS. If this one took a trigger
 * before it knows that it is put off, it would own it and not hold it.
 */
const MIN_DEFERRAL_MS = HORIZON_MS + 2_000;
const SHOW_AFTER_MS = 250;
/** After a failure, and for rows that are locked. */
const AGAIN_MS = 1_000;
const BATCH = 500;

/** Makes `Waits`. One statement of each kind is under way at a time. */
export function createWaits(parts: WaitsParts): Waits {
  const state: WaitsState = {
    parts,
    unshown: createFifo(),
    notInRow: new WeakSet(),
    deferrals: [],
    timer: undefined,
    isDeferring: false,
    generation: 0,
  };
  return {
    begin: (waiter, reason) => begin(state, waiter, reason),
    defer: (trigger, reason, dueMs) => {
      mark(state, trigger, reason);
      state.deferrals.push({ trigger, reason, dueMs });
      if (state.isDeferring) return;
      state.isDeferring = true;
      setImmediate(() => void deferAll(state));
    },
    clear: () => {
      state.generation += 1;
      state.unshown.clear();
      for (const { trigger } of state.deferrals) parts.holding.drop(trigger);
      state.deferrals = [];
    },
  };
}

function mark({ parts, notInRow }: WaitsState, trigger: HeldTrigger, reason: WaitingForName): void {
  const isFirst = trigger.attemptCount === trigger.attemptBase;
  // A replay leaves in the row what the trigger waited for earlier, so the row says since when only for a present wait.
  if (trigger.waitingFor !== reason || (isFirst && trigger.waitingSinceMs === null)) notInRow.add(trigger);
  trigger.waitingFor = reason;
  if (isFirst) trigger.waitingSinceMs ??= parts.clock.now();
}

function begin(state: WaitsState, waiter: Waiter, reason: WaitingForName): void {
  mark(state, waiter.trigger, reason);
  if (!state.notInRow.has(waiter.trigger)) return;
  state.unshown.push({ waiter, sinceMs: performance.now() });
  state.timer ??= setTimeout(showAll, SHOW_AFTER_MS, state).unref();
}

async function showAll(state: WaitsState): Promise<void> {
  const { events } = state.parts;
  const beforeMs = performance.now() - SHOW_AFTER_MS;
  let pauseMs = SHOW_AFTER_MS;
  try {
    for (let batch = takeUnshown(state, beforeMs); batch.length > 0; batch = takeUnshown(state, beforeMs)) {
      await show(state, batch);
    }
  } catch (error) {
    // What is not shown is only not seen. It is recorded when the trigger is claimed or put off.
    events.emit("trouble", { part: "showing what triggers wait for", error });
    pauseMs = AGAIN_MS;
  }
  state.timer = state.unshown.size === 0 ? undefined : setTimeout(showAll, pauseMs, state).unref();
}

function takeUnshown({ unshown, parts }: WaitsState, beforeMs: number): HeldTrigger[] {
  const batch: HeldTrigger[] = [];
  while (batch.length < BATCH) {
    const next = unshown.peek();
    if (next === undefined || next.sinceMs > beforeMs) break;
    unshown.shift();
    const { trigger, isWaiting } = next.waiter;
    if (isWaiting && parts.holding.holds(trigger)) batch.push(trigger);
  }
  return batch;
}

async function show({ parts, notInRow }: WaitsState, batch: readonly HeldTrigger[]): Promise<void> {
  const { database, lease } = parts;
  const changes = batch.map((trigger) => toChange(trigger, trigger.waitingFor));
  const values = [...toNames(batch), lease.instance, `{${changes.join(",")}}`];
  const shown = new Set((await database.query(triggerShowWait, values)).map(({ id }) => id));
  for (const trigger of batch) if (shown.has(trigger.id)) notInRow.delete(trigger);
}

async function deferAll(state: WaitsState): Promise<void> {
  const { parts, generation } = state;
  while (state.deferrals.length > 0) {
    const batch = state.deferrals.slice(0, BATCH);
    state.deferrals = state.deferrals.slice(BATCH);
    const held = batch.filter(({ trigger }) => parts.holding.holds(trigger));
    try {
      if (held.length > 0) await deferBatch(state, held);
    } catch (error) {
      parts.events.emit("trouble", { part: "putting off triggers that wait", error });
      waitAgain(state, held, generation);
    }
  }
  state.isDeferring = false;
}

/** Puts triggers off in PostgreSQL. What is no longer wanted, or no longer of this instance, is dropped. */
async function deferBatch(state: WaitsState, batch: readonly Deferral[]): Promise<void> {
  const { database, clock, lease, holding } = state.parts;
  const { generation } = state;
  const { instance } = lease;
  const run = async (part: readonly Deferral[]) => {
    // Not when it was asked for: the statements before this one may have taken long.
    const minDueMs = clock.now() + MIN_DEFERRAL_MS;
    const changes = part.map(({ trigger, reason, dueMs }) =>
      toChange(trigger, reason, Math.max(dueMs, minDueMs)),
    );
    const names = toNames(part.map(({ trigger }) => trigger));
    const rows = await database.query(triggerDefer, [...names, instance, `{${changes.join(",")}}`]);
    const ids = new Set(rows.map(({ id }) => id));
    // At once, because any dispatcher may own them from now on, also this one.
    for (const { trigger } of part) if (ids.has(trigger.id)) holding.drop(trigger);
    return [...ids];
  };
  const { results, failed } = await takeApart(batch, run, { isItemFault });
  const done = new Set(results.flat());
  const rest = batch.filter(({ trigger }) => !done.has(trigger.id)).map(({ trigger }) => trigger);
  const wanted = new Set(failed.map(({ item }) => item.trigger.id));
  if (rest.length > wanted.size) {
    const values = [...toNames(rest), instance, toStarts(rest)];
    for (const { id } of await database.query(triggerReadUnclaimed, values)) wanted.add(id);
  }
  for (const trigger of rest) if (!wanted.has(trigger.id)) holding.drop(trigger);
  waitAgain(
    state,
    batch.filter(({ trigger }) => wanted.has(trigger.id)),
    generation,
  );
}

function waitAgain({ parts, generation }: WaitsState, batch: readonly Deferral[], then: number): void {
  const { clock, holding, waitUntil } = parts;
  for (const { trigger } of batch) {
    if (generation === then) waitUntil(trigger, clock.now() + AGAIN_MS);
    else holding.drop(trigger);
  }
}

function toChange(trigger: HeldTrigger, reason: WaitingForName | null, dueMs?: number): string {
  const { id, waitingSinceMs, attemptCount } = trigger;
  const since = waitingSinceMs === null ? "null" : `"${toSqlTime(waitingSinceMs)}"`;
  const due = dueMs === undefined ? "" : `,"${toSqlTime(dueMs)}"`;
  return `"${id}":["${reason}",${since},${attemptCount}${due}]`;
}
