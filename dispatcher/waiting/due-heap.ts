/** An item that is ordered by its due time. */
export interface Due {
  /** Epoch milliseconds; must not change while the item is in the heap. */
  readonly dueTimeMs: number;
}

/** A queue that returns the item with the earliest due time first. */
export interface DueHeap<T extends Due> {
  readonly size: number;
  /** Returns the item that is due first and leaves it in the heap; undefined when the heap is empty. */
  peek(): T | undefined;
  push(item: T): void;
  /** Removes and returns the item that is due first; undefined when the heap is empty. */
  pop(): T | undefined;
  /** Removes and returns all items, in no particular order. */
  clear(): T[];
}

/**
 * Makes a binary heap in an array. The children of index i are at 2i + 1 and 2i + 2, and no child is due before its
 * parent. `push` adds the item at the end and moves it up while it is due before its parent. `pop` moves the last item
 * to the top and then down, below each child that is due before it.
 */
export function createDueHeap<T extends Due>(): DueHeap<T> {
  let items: T[] = [];

  const moveUp = (item: T): void => {
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

  const moveDown = (item: T): void => {
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
    push: moveUp,
    pop: () => {
      const first = items[0];
      const last = items.pop();
      if (last !== undefined && items.length > 0) moveDown(last);
      return first;
    },
    clear: () => {
      const all = items;
      items = [];
      return all;
    },
  };
}
