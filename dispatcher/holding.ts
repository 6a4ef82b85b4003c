import { createDueHeap } from "./due-heap.ts";
import type { HeldTrigger } from "./held-trigger.ts";

/** The triggers that this process holds: those that wait for their time, and those being worked on. */
export interface Holding {
  readonly size: number;
  has(id: string): boolean;
  /** Whether this very copy is held: another has its place once the row was withdrawn and recorded anew. */
  holds(trigger: HeldTrigger): boolean;
  /**
   * Holds a trigger until it is dropped; false when it is held already. One that differs takes the place of what was
   * held under its id: the row was withdrawn by a change of the job and recorded anew, or a backfill made it due again.
   */
  add(trigger: HeldTrigger): boolean;
  /** When the first that waits is due; undefined when none waits. */
  nextDueMs(): number | undefined;
  /** At most `limit` of the triggers due by now, earliest first. They are held on, and wait no more. */
  takeDue(nowMs: number, limit: number): HeldTrigger[];
  /** Lets a held trigger wait again, for its new due time. */
  wait(trigger: HeldTrigger): void;
  /** Holds a trigger no more, unless another has taken its place. Not for one that waits. */
  drop(trigger: HeldTrigger): void;
  /** Holds no more of those that wait. */
  dropWaiting(): void;
  /** Whether a project has so many that no more should be taken for it. */
  isCrowded(projectId: string): boolean;
  /** All such projects. */
  crowded(): string[];
}

/** Makes an empty one, which is crowded for a project from `crowdedAt` triggers on. */
export function createHolding(crowdedAt: number): Holding {
  const held = new Map<string, HeldTrigger>();
  const counts = new Map<string, number>();
  const waiting = createDueHeap<HeldTrigger>();

  const drop = (trigger: HeldTrigger): void => {
    const { id, projectId } = trigger;
    if (held.get(id) !== trigger) return;
    held.delete(id);
    const left = (counts.get(projectId) ?? 0) - 1;
    if (left > 0) counts.set(projectId, left);
    else counts.delete(projectId);
  };

  return {
    get size() {
      return held.size;
    },
    has: (id) => held.has(id),
    holds: (trigger) => held.get(trigger.id) === trigger,
    add: (trigger) => {
      const { id, projectId } = trigger;
      const before = held.get(id);
      if (before !== undefined && isSame(before, trigger)) return false;
      if (before === undefined) counts.set(projectId, (counts.get(projectId) ?? 0) + 1);
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
    isCrowded: (projectId) => (counts.get(projectId) ?? 0) >= crowdedAt,
    crowded: () => [...counts].filter(([, count]) => count >= crowdedAt).map(([projectId]) => projectId),
  };
}

/**
 * Whether two copies are of the same recording: a job's changes make another revision or another place of it, and a
 * backfill gives it another time, by which its retry policy counts.
 */
function isSame(one: HeldTrigger, other: HeldTrigger): boolean {
  return (
    one.revision === other.revision &&
    one.seq === other.seq &&
    one.attemptBase === other.attemptBase &&
    one.effectiveTimeMs === other.effectiveTimeMs
  );
}
