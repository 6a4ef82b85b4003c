import { createFifo, type Fifo } from "./fifo.ts";

/** A queue in which the groups take turns, one item each. A group with many items does not delay the others. */
export interface Rounds<M> {
  push(member: M): void;
  /** Removes and returns the oldest item of the group whose turn it is; undefined when the queue is empty. */
  shift(): M | undefined;
}

/**
 * Makes an empty queue. This is deficit round robin (Shreedhar and Varghese, 1995) with items that all cost the same, so that
 * no deficit is left over.
 */
export function createRounds<M extends { readonly groupId: string }>(): Rounds<M> {
  const groups = new Map<string, Fifo<M>>();
  // The groups with items, in turn. A Map that is deleted from and added to would be slow to take the first entry of.
  const turns = createFifo<{ readonly groupId: string; readonly members: Fifo<M> }>();
  return {
    push: (member) => {
      const { groupId } = member;
      const known = groups.get(groupId);
      if (known !== undefined) return known.push(member);
      const members = createFifo<M>();
      members.push(member);
      groups.set(groupId, members);
      turns.push({ groupId, members });
    },
    shift: () => {
      const group = turns.shift();
      if (group === undefined) return undefined;
      const member = group.members.shift();
      if (group.members.size > 0) turns.push(group);
      else groups.delete(group.groupId);
      return member;
    },
  };
}
