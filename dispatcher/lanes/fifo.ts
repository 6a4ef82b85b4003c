/** A first-in, first-out queue. */
export interface Fifo<T> {
  readonly size: number;
  push(item: T): void;
  /** Returns the oldest item and leaves it; undefined when the queue is empty. */
  peek(): T | undefined;
  /** Removes and returns the oldest item; undefined when the queue is empty. */
  shift(): T | undefined;
  /** Returns all items, in order, and leaves them. */
  items(): T[];
  /** Removes and returns all items, in order. */
  clear(): T[];
}

const MIN_COMPACT = 256;

/** Makes a queue. Its `shift` does not move the other items; Array.prototype.shift does, above some 50,000 items. */
export function createFifo<T>(): Fifo<T> {
  let items: (T | undefined)[] = [];
  let head = 0;
  const rest = (): T[] => items.slice(head).filter((item) => item !== undefined);
  return {
    get size() {
      return items.length - head;
    },
    push: (item) => {
      items.push(item);
    },
    peek: () => items[head],
    shift: () => {
      const item = items[head];
      if (item === undefined) return undefined;
      // So that the item can be collected while it is young, which costs nothing.
      items[head] = undefined;
      head += 1;
      if (head >= MIN_COMPACT && head * 2 >= items.length) {
        items = items.slice(head);
        head = 0;
      }
      return item;
    },
    items: rest,
    clear: () => {
      const all = rest();
      items = [];
      head = 0;
      return all;
    },
  };
}
