import { createFifo, type Fifo } from "./fifo.ts";

/** Who waits at a turnstile: a part of a group. */
export interface Member {
  readonly groupId: string;
}

/** Lets members in by turns, so that no group takes what others need. */
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

interface Group<M> {
  inside: number;
  /** Members that could enter but for the group's share. */
  readonly parked: Fifo<M>;
}

/** Makes a turnstile of `total` places. */
export function createTurnstile<M extends Member>(total: number): Turnstile<M> {
  const perGroup = Math.max(1, Math.ceil(total * GROUP_SHARE));
  const open = Math.max(1, total - Math.floor(total * RESERVE));
  const groups = new Map<string, Group<M>>();
  const waiting = createFifo<M>();
  // Members that could enter but for the reserve.
  const held = createFifo<M>();
  const known = new Set<M>();
  let inside = 0;

  const groupOf = ({ groupId }: M): Group<M> => {
    const found = groups.get(groupId);
    if (found !== undefined) return found;
    const group: Group<M> = { inside: 0, parked: createFifo() };
    groups.set(groupId, group);
    return group;
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
        const member = (inside < open ? held.shift() : undefined) ?? waiting.shift();
        if (member === undefined) return undefined;
        const group = groups.get(member.groupId);
        if (group !== undefined && group.inside >= perGroup) group.parked.push(member);
        else if (group !== undefined && group.inside >= FEW && inside >= open) held.push(member);
        else {
          known.delete(member);
          return member;
        }
      }
      return undefined;
    },
    enter: (member, count) => {
      inside += count;
      groupOf(member).inside += count;
    },
    leave: (member, count) => {
      const group = groupOf(member);
      inside -= count;
      group.inside -= count;
      // As many as places have come free stand in the queue again; all, when nobody is left to make room for another.
      for (let free = group.inside === 0 ? group.parked.size : count; free > 0; free--) {
        const parked = group.parked.shift();
        if (parked !== undefined) waiting.push(parked);
      }
      if (group.inside === 0 && group.parked.size === 0) groups.delete(member.groupId);
    },
  };
}
