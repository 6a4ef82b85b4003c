import { createFifo, type Fifo } from "./fifo.ts";
import { createRounds } from "./rounds.ts";

/** A queue that wants to enter a turnstile. It belongs to a group, such as a project. */
export interface Member {
  readonly groupId: string;
  /** Whether its items are late. Late members use at most half of the places. */
  readonly isLate: boolean;
}

/**
 * Gives places to the groups in turn, and within a group to its members in turn. No group uses so many places that others get none. Late members use at most half of
 * the places of their group, and half of all.
 */
export interface Turnstile<M extends Member> {
  /** How many places are in use. */
  readonly inside: number;
  /** Adds a member to the queue, unless it is in the queue already. */
  queue(member: M): void;
  /** Removes and returns the first queued member that may use one more place; undefined when there is none. */
  next(): M | undefined;
  /** Counts `count` places as used by a member. The limits are not checked: the caller may exceed them. */
  enter(member: M, count: number): void;
  /** Counts `count` places of a member as free again. */
  leave(member: M, count: number): void;
}

/** One group may use this part of all places. The last eighth is reserved for groups that use fewer than FEW. */
const GROUP_SHARE = 1 / 4;
const RESERVE = 1 / 8;
const FEW = 8;
/** Late members may use this part of all places, and of the places of their group. */
const LATE_SHARE = 1 / 2;

interface Group<M> {
  inside: number;
  lateInside: number;
  /** Members that wait because the group has used up its share. */
  readonly parked: Fifo<M>;
  /** Late members that wait because late members have used up their part of that share. */
  readonly parkedLate: Fifo<M>;
  /** Members that wait because only the reserve is left, and the group uses more than a few places. */
  readonly held: Fifo<M>;
}

/** Makes a turnstile with `total` places. */
export function createTurnstile<M extends Member>(total: number): Turnstile<M> {
  const perGroup = Math.max(1, Math.ceil(total * GROUP_SHARE));
  const lateTotal = Math.max(1, Math.floor(total * LATE_SHARE));
  const latePerGroup = Math.max(1, Math.floor(perGroup * LATE_SHARE));
  const open = Math.max(1, total - Math.floor(total * RESERVE));
  const groups = new Map<string, Group<M>>();
  const waiting = createRounds<M>();
  // The groups with held members, in turn.
  const holding = new Set<Group<M>>();
  // Late members that wait because late members have used up their part of all places.
  const heldLate = createFifo<M>();
  const known = new Set<M>();
  let inside = 0;
  let lateInside = 0;

  const groupOf = ({ groupId }: M): Group<M> => {
    const found = groups.get(groupId);
    if (found !== undefined) return found;
    const group: Group<M> = {
      inside: 0,
      lateInside: 0,
      parked: createFifo(),
      parkedLate: createFifo(),
      held: createFifo(),
    };
    groups.set(groupId, group);
    return group;
  };

  // Returns the queue in which a member must wait for now; undefined when it may enter.
  const barrierFor = (member: M): Fifo<M> | undefined => {
    const group = groups.get(member.groupId);
    if (group !== undefined && group.inside >= perGroup) return group.parked;
    if (group !== undefined && member.isLate && group.lateInside >= latePerGroup) return group.parkedLate;
    if (member.isLate && lateInside >= lateTotal) return heldLate;
    if (group === undefined || group.inside < FEW || inside < open) return undefined;
    holding.add(group);
    return group.held;
  };

  // Returns a held member of the group whose turn it is.
  const nextHeld = (): M | undefined => {
    for (const group of holding) {
      holding.delete(group);
      const member = group.held.shift();
      if (group.held.size > 0) holding.add(group);
      if (member !== undefined) return member;
    }
    return undefined;
  };

  const nextInLine = (): M | undefined =>
    (inside < open && holding.size > 0 ? nextHeld() : undefined) ??
    (lateInside < lateTotal ? heldLate.shift() : undefined) ??
    waiting.shift();

  // Puts as many members back into the main queue as places became free. When the group uses no place any more, nobody
  // is left to free another one, so the callers then pass the number of all parked members.
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
      // A group that uses few places again may use the reserve, however many the others use.
      if (group.inside < FEW) unpark(group.held, group.inside === 0 ? group.held.size : count);
      if (group.held.size === 0) holding.delete(group);
      if (group.inside === 0) groups.delete(member.groupId);
    },
  };
}
