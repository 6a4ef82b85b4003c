import { createFifo, type Fifo } from "./fifo.ts";

/** Who waits at a turnstile: a part of a group. */
export interface Member {
  readonly groupId: string;
  /** Whether it makes up for something, and gives way to what is on time. */
  readonly isLate: boolean;
}

/**
 * Lets members in by turns, so that no group takes what others need, and what is late, of one group or of all, takes no
 * more than half of what there is.
 */
export interface Turnstile<M extends Member> {
  /** How many are inside. */
  readonly inside: number;
  /** Lets a member stand in the queue; once, however often it is called. */
  queue(member: M): void;
  /** Takes the first out of the queue whose group may let one more in; undefined when there is none. */
  next(): M | undefined;
  /** Counts so many more of a member inside; beyond the limits, too, if its caller wants that. */
  enter(member: M, count: number): void;
  /** Counts so many less. */
  leave(member: M, count: number): void;
}

/** One group may use this part of all places; the last eighth is kept for groups with few. */
const GROUP_SHARE = 1 / 4;
const RESERVE = 1 / 8;
const FEW = 8;
/** What is late may use this part of all places, and of those of its group. */
const LATE_SHARE = 1 / 2;

interface Group<M> {
  inside: number;
  lateInside: number;
  /** Members that could enter but for the group's share. */
  readonly parked: Fifo<M>;
  /** Members that could enter but for the part of that share that is for what is late. */
  readonly parkedLate: Fifo<M>;
}

/** Makes a turnstile of `total` places. */
export function createTurnstile<M extends Member>(total: number): Turnstile<M> {
  const perGroup = Math.max(1, Math.ceil(total * GROUP_SHARE));
  const lateTotal = Math.max(1, Math.floor(total * LATE_SHARE));
  const latePerGroup = Math.max(1, Math.floor(perGroup * LATE_SHARE));
  const open = Math.max(1, total - Math.floor(total * RESERVE));
  const groups = new Map<string, Group<M>>();
  const waiting = createFifo<M>();
  // Members that could enter but for the reserve.
  const held = createFifo<M>();
  // Members that could enter but for the part that is for what is late.
  const heldLate = createFifo<M>();
  const known = new Set<M>();
  let inside = 0;
  let lateInside = 0;

  const groupOf = ({ groupId }: M): Group<M> => {
    const found = groups.get(groupId);
    if (found !== undefined) return found;
    const group: Group<M> = { inside: 0, lateInside: 0, parked: createFifo(), parkedLate: createFifo() };
    groups.set(groupId, group);
    return group;
  };

  // Where a member must stay for now; undefined when it may enter.
  const barrierFor = (member: M): Fifo<M> | undefined => {
    const group = groups.get(member.groupId);
    if (group !== undefined && group.inside >= perGroup) return group.parked;
    if (group !== undefined && member.isLate && group.lateInside >= latePerGroup) return group.parkedLate;
    if (member.isLate && lateInside >= lateTotal) return heldLate;
    return group !== undefined && group.inside >= FEW && inside >= open ? held : undefined;
  };

  const nextInLine = (): M | undefined =>
    (inside < open ? held.shift() : undefined) ??
    (lateInside < lateTotal ? heldLate.shift() : undefined) ??
    waiting.shift();

  // As many as places have come free stand in the queue again; all, when nobody is left to make room for another.
  const unpark = (parked: Fifo<M>, free: number): void => {
    for (let left = Math.min(free, parked.size); left > 0; left--) {
      const member = parked.shift();
      if (member !== undefined) waiting.push(member);
    }
  };

  return {
    get inside() {
      return inside;
    },
    queue: (member) => {
      if (known.has(member)) return;
      known.add(member);
      waiting.push(member);
    },
    next: () => {
      while (inside < total) {
        const member = nextInLine();
        if (member === undefined) return undefined;
        const barrier = barrierFor(member);
        if (barrier === undefined) {
          known.delete(member);
          return member;
        }
        barrier.push(member);
      }
      return undefined;
    },
    enter: (member, count) => {
      const group = groupOf(member);
      inside += count;
      group.inside += count;
      if (!member.isLate) return;
      lateInside += count;
      group.lateInside += count;
    },
    leave: (member, count) => {
      const group = groupOf(member);
      inside -= count;
      group.inside -= count;
      if (member.isLate) {
        lateInside -= count;
        group.lateInside -= count;
        unpark(group.parkedLate, group.lateInside === 0 ? group.parkedLate.size : count);
      }
      unpark(group.parked, group.inside === 0 ? group.parked.size : count);
      if (group.inside === 0) groups.delete(member.groupId);
    },
  };
}
