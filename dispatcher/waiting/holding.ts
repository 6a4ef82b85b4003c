import { createDueHeap } from "./due-heap.ts";
import { type HeldTrigger, isLate } from "./held-trigger.ts";

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
  /**
   * Whether its project has so many that no more should be taken for it. What makes up for something has half of the
   * places, so that those on time still find some.
   */
  isCrowded(trigger: HeldTrigger): boolean;
  /** The projects for which nothing should be taken, and those for which only what is on time should. */
  crowded(): { readonly all: string[]; readonly late: string[] };
}

/** Makes an empty one, which is crowded for a project from `crowdedAt` triggers on. */
export function createHolding(crowdedAt: number): Holding {
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
