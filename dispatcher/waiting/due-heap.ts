/** What is ordered by its due time. */
export interface Due {
  /** Epoch milliseconds; not changed while in the heap. */
  readonly dueTimeMs: number;
}

/** A queue whose first is always the one due first. */
export interface DueHeap<T extends Due> {
  readonly size: number;
  /** The one due first, left in place. */
  peek(): T | undefined;
  push(item: T): void;
  pop(): T | undefined;
  /** Removes and returns all, in no order. */
  clear(): T[];
}

/**
 * Makes a binary heap in an array: the children of place i are at 2i + 1 and 2i + 2, and no child is due before its
 * parent. A pushed item rises from the last place while it is due before its parent; what takes the place of a
 * popped first sinks below the children that are due before it.
 */
export function createDueHeap<T extends Due>(): DueHeap<T> {
  let items: T[] = [];

  const rise = (item: T): void => {
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = items[above];
      if (parent === undefined || parent.dueTimeMs <= item.dueTimeMs) break;
      items[place] = parent;
      place = above;
    }
    items[place] = item;
  };

  const sink = (item: T): void => {
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const first = items[left];
      const second = items[left + 1];
      if (first === undefined) break;
      const isSecond = second !== undefined && second.dueTimeMs < first.dueTimeMs;
      const child = isSecond ? second : first;
      if (child.dueTimeMs >= item.dueTimeMs) break;
      items[place] = child;
      place = isSecond ? left + 1 : left;
    }
    items[place] = item;
  };

  return {
    get size() {
      return items.length;
    },
    peek: () => items[0],
    push: rise,
    pop: () => {
      const first = items[0];
      const last = items.pop();
      if (last !== undefined && items.length > 0) sink(last);
      return first;
    },
    clear: () => {
      const all = items;
      items = [];
      return all;
    },
  };
}
