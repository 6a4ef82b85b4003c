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
  // A Map keeps the order in which its entries were added. A group that has had its turn is added anew.
  const groups = new Map<string, Fifo<M>>();
  return {
    push: (member) => {
      const group = groups.get(member.groupId);
      if (group !== undefined) return group.push(member);
      const added = createFifo<M>();
      added.push(member);
      groups.set(member.groupId, added);
    },
    shift: () => {
      for (const [groupId, group] of groups) {
        const member = group.shift();
        if (groups.size === 1 && group.size > 0) return member;
        groups.delete(groupId);
        if (group.size > 0) groups.set(groupId, group);
        return member;
      }
      return undefined;
    },
  };
}
