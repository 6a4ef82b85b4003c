import { createDueHeap } from "./due-heap.ts";
import { type Crowded, createHeldBytes, type HeldLimits } from "./held-bytes.ts";
import type { HeldTrigger } from "./held-trigger.ts";

/**
 * The triggers that this process holds in memory. Some wait for their due time. The others are in a lane, in flight, or
 * being recorded.
 */
export interface Holding {
  readonly size: number;
  has(id: string): boolean;
  /**
   * Whether this copy is the one that is held. It is not when its row was withdrawn and recorded again: then a new copy
   * has replaced it.
   */
  holds(trigger: HeldTrigger): boolean;
  /**
   * Holds a trigger until it is dropped. Returns false when the same copy is held already. A copy that differs replaces
   * the one held under its id: a change of the job has withdrawn the row and recorded it again, or a backfill has made
   * it due again.
   */
  add(trigger: HeldTrigger): boolean;
  /** Returns the earliest due time of the waiting triggers, in epoch milliseconds; undefined when none waits. */
  nextDueMs(): number | undefined;
  /** Returns at most `limit` triggers that are due by now, earliest first. They stay held, but no longer wait. */
  takeDue(nowMs: number, limit: number): HeldTrigger[];
  /** Makes a held trigger wait again, for its new due time. */
  wait(trigger: HeldTrigger): void;
  /** Stops holding a trigger; does nothing if another copy has replaced it. The trigger must not be waiting. */
  drop(trigger: HeldTrigger): void;
  /** Stops holding all waiting triggers. */
  dropWaiting(): void;
  /** Stops holding the waiting triggers that are due after `afterMs`. */
  dropLater(afterMs: number): void;
  /**
   * Whether so much memory is in use, by the project or in all, that this process should not take this trigger. For a
   * late trigger, the limits on late triggers count too. They are half as high, so that there is always room for
   * triggers on time.
   */
  isCrowded(trigger: HeldTrigger): boolean;
  /** Returns of which projects no trigger, or no late one, should be taken. */
  crowded(): Crowded;
  /** Whether there is room for a trigger of some project. */
  hasRoom(): boolean;
}

/**
 * Makes an empty holding. What exceeds the limits stays in PostgreSQL without an owner until there is room. `onDropped`
 * is called with each trigger that `drop` is called with, whether it was held or not.
 */
export function createHolding(
  limits: HeldLimits,
  onDropped: (trigger: HeldTrigger) => void = () => {},
): Holding {
  const held = new Map<string, HeldTrigger>();
  const bytes = createHeldBytes(limits);
  const waiting = createDueHeap<HeldTrigger>();

  const drop = (trigger: HeldTrigger): void => {
    const { id } = trigger;
    onDropped(trigger);
    if (held.get(id) !== trigger) return;
    held.delete(id);
    bytes.remove(trigger);
  };

  return {
    get size() {
      return held.size;
    },
    has: (id) => held.has(id),
    holds: (trigger) => held.get(trigger.id) === trigger,
    add: (trigger) => {
      const { id } = trigger;
      const before = held.get(id);
      if (before !== undefined && isSame(before, trigger)) return false;
      if (before !== undefined) bytes.remove(before);
      bytes.add(trigger);
      held.set(id, trigger);
      waiting.push(trigger);
      return true;
    },
    nextDueMs: () => waiting.peek()?.dueTimeMs,
    takeDue: (nowMs, limit) => {
      const due: HeldTrigger[] = [];
      while (due.length < limit) {
        const next = waiting.peek();
        if (next === undefined || next.dueTimeMs > nowMs) break;
        waiting.pop();
        if (held.get(next.id) === next) due.push(next);
      }
      return due;
    },
    wait: (trigger) => waiting.push(trigger),
    drop,
    dropWaiting: () => {
      waiting.clear().forEach(drop);
    },
    dropLater: (afterMs) => {
      for (const trigger of waiting.clear()) {
        if (trigger.dueTimeMs > afterMs) drop(trigger);
        else waiting.push(trigger);
      }
    },
    isCrowded: bytes.isCrowded,
    crowded: bytes.crowded,
    hasRoom: bytes.hasRoom,
  };
}

/**
 * Whether two copies are the same. They differ in revision or seq after a change of the job, and in attempt base or
 * effective time after a backfill.
 */
function isSame(one: HeldTrigger, other: HeldTrigger): boolean {
  return (
    one.revision === other.revision &&
    one.seq === other.seq &&
    one.attemptBase === other.attemptBase &&
    one.effectiveTimeMs === other.effectiveTimeMs
  );
}
