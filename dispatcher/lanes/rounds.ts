import { createFifo, type Fifo } from "./fifo.ts";

/** A queue in which the groups take turns, one item each. A group with many items does not delay the others. */
export interface Rounds<M> {
  push(member: M): void;
  /** Removes and returns the oldest item of the group whose turn it is; undefined when the queue is empty. */
  shift(): M | undefined;
}

interface Group<M> {
  readonly groupId: string;
  readonly members: Fifo<M>;
}

/**
 * Makes an empty queue. This is deficit round robin (Shreedhar and Varghese, 1995) with items that all cost the same, so that
 * no deficit is left over.
 */
export function createRounds<M extends { readonly groupId: string }>(): Rounds<M> {
  const groups = new Map<string, Group<M>>();
  // The groups with items, in turn. A Map that is deleted from and added to would be slow to take the first entry of.
  const turns = createFifo<Group<M>>();
  // The group that has become empty last stays in the map: mostly it gets the next item, too. Making a group for each
  // item took a tenth of what the dispatcher itself spends on a trigger.
  let empty: Group<M> | undefined;

  const add = (groupId: string): Group<M> => {
    const group = { groupId, members: createFifo<M>() };
    groups.set(groupId, group);
    return group;
  };

  return {
    push: (member) => {
      const group = groups.get(member.groupId) ?? add(member.groupId);
      if (group.members.size === 0) turns.push(group);
      if (group === empty) empty = undefined;
      group.members.push(member);
    },
    shift: () => {
      const group = turns.shift();
      if (group === undefined) return undefined;
      const member = group.members.shift();
      if (group.members.size > 0) turns.push(group);
      else {
        if (empty !== undefined) groups.delete(empty.groupId);
        empty = group;
      }
      return member;
    },
  };
}
