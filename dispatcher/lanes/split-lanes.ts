import type { Work } from "./lane.ts";
import type { Lanes } from "./lanes.ts";

/**
 * Makes one of several sets of lanes. `partOf` returns the index of the set to which an item belongs. Each set keeps its
 * own limits, so what one set is full of holds up nothing in another. The sets take turns, both at claiming and at
 * starting: a batch of claims has an equal part of each set in which items wait.
 */
export function createSplitLanes<T>(parts: readonly Lanes<T>[], partOf: (item: T) => number): Lanes<T> {
  let turn = 0;
  const of = (item: T): Lanes<T> => {
    const part = parts[partOf(item)];
    if (part === undefined)
      throw new Error(`There are ${parts.length} sets of lanes, and none for this item.`);
    return part;
  };
  const sum = (count: "size" | "inFlight"): number => {
    let total = 0;
    for (const part of parts) total += part[count];
    return total;
  };
  // The sets in which items wait, are claiming or are ready, beginning with the one whose turn it is.
  const inTurn = (): Lanes<T>[] => {
    turn = (turn + 1) % parts.length;
    return [...parts.slice(turn), ...parts.slice(0, turn)].filter((part) => part.size > part.inFlight);
  };
  return {
    get size() {
      return sum("size");
    },
    get inFlight() {
      return sum("inFlight");
    },
    add: (item, projectId, destination, name) => of(item).add(item, projectId, destination, name),
    adapt: (projectId, destination) => {
      for (const part of parts) part.adapt(projectId, destination);
    },
    takeToClaim: (limit) => {
      const busy = inTurn();
      const [only] = busy;
      if (only === undefined || busy.length === 1) return only?.takeToClaim(limit) ?? [];
      const taken: Work<T>[] = [];
      busy.forEach((part, index) => {
        taken.push(...part.takeToClaim(Math.ceil((limit - taken.length) / (busy.length - index))));
      });
      // What one set leaves free, the others may use.
      for (const part of busy) {
        if (taken.length < limit) taken.push(...part.takeToClaim(limit - taken.length));
      }
      return taken;
    },
    claimed: (work) => of(work.item).claimed(work),
    unclaimed: (work) => of(work.item).unclaimed(work),
    refused: (work) => of(work.item).refused(work),
    takeToStart: () => {
      turn = (turn + 1) % parts.length;
      for (let each = 0; each < parts.length; each++) {
        const part = parts[(turn + each) % parts.length];
        const work = part !== undefined && part.size > part.inFlight ? part.takeToStart() : undefined;
        if (work !== undefined) return work;
      }
      return undefined;
    },
    ended: (work) => of(work.item).ended(work),
    clear: () => {
      const cleared = parts.map((part) => part.clear());
      return {
        waiting: cleared.flatMap(({ waiting }) => waiting),
        ready: cleared.flatMap(({ ready }) => ready),
      };
    },
  };
}
