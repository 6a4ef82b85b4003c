import { createDueHeap } from "./due-heap.ts";
import { type HeldTrigger, isLate } from "./held-trigger.ts";

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
  /**
   * Whether this process holds so many triggers of the project that it should not take this one. For a late trigger,
   * the limit on late triggers counts too. It is half as high, so that there is always room for triggers on time.
   */
  isCrowded(trigger: HeldTrigger): boolean;
  /**
   * Returns the projects of which no trigger should be taken (`all`), and those of which no late one should (`late`).
   */
  crowded(): { readonly all: string[]; readonly late: string[] };
}

/**
 * Makes an empty holding. A project is crowded when `crowdedAt` of its triggers are held, or half as many late ones.
 * `onDropped` is called with each trigger that `drop` is called with, whether it was held or not.
 */
export function createHolding(
  crowdedAt: number,
  onDropped: (trigger: HeldTrigger) => void = () => {},
): Holding {
  const held = new Map<string, HeldTrigger>();
  const counts = new Map<string, number>();
  const lateCounts = new Map<string, number>();
  const lateCrowdedAt = crowdedAt / 2;
  const waiting = createDueHeap<HeldTrigger>();

  const count = (trigger: HeldTrigger, change: number): void => {
    addTo(counts, trigger.projectId, change);
    if (isLate(trigger)) addTo(lateCounts, trigger.projectId, change);
  };

  const drop = (trigger: HeldTrigger): void => {
    const { id } = trigger;
    onDropped(trigger);
    if (held.get(id) !== trigger) return;
    held.delete(id);
    count(trigger, -1);
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
      if (before !== undefined) count(before, -1);
      count(trigger, 1);
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
    isCrowded: (trigger) => {
      const { projectId } = trigger;
      if ((counts.get(projectId) ?? 0) >= crowdedAt) return true;
      return isLate(trigger) && (lateCounts.get(projectId) ?? 0) >= lateCrowdedAt;
    },
    crowded: () => ({ all: namesFrom(counts, crowdedAt), late: namesFrom(lateCounts, lateCrowdedAt) }),
  };
}

function addTo(counts: Map<string, number>, name: string, change: number): void {
  const sum = (counts.get(name) ?? 0) + change;
  if (sum > 0) counts.set(name, sum);
  else counts.delete(name);
}

function namesFrom(counts: ReadonlyMap<string, number>, least: number): string[] {
  return [...counts].filter(([, count]) => count >= least).map(([name]) => name);
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
