/** A cache by owner and id. When it is full, an owner that has much loses its own values, and no other does. */
export interface FairCache<T> {
  get(owner: string, id: string): T | undefined;
  /** Keeps a value, in place of the one that the id has. */
  set(owner: string, id: string, value: T): void;
}

interface Share<T> {
  readonly owner: string;
  /** The oldest first. */
  readonly values: Map<string, T>;
  bytes: number;
}

/** Rough size of an entry without its value. */
const BASE_BYTES = 200;

/**
 * Makes a cache of roughly `maxBytes`. When it is full, it removes the oldest value of an owner that has the most, or at
 * least half of that. Owners are in classes by the power of two of their bytes, so finding one takes the same short time,
 * however many there are. `bytesOf` returns the rough size of a value, which must not change.
 */
export function createFairCache<T>(maxBytes: number, bytesOf: (value: T) => number): FairCache<T> {
  const shares = new Map<string, Share<T>>();
  const classes = Array.from({ length: 32 }, () => new Set<Share<T>>());
  let bytes = 0;

  const change = (share: Share<T>, by: number): void => {
    classes[classOf(share)]?.delete(share);
    share.bytes += by;
    bytes += by;
    if (share.values.size > 0) classes[classOf(share)]?.add(share);
    else shares.delete(share.owner);
  };
  const remove = (share: Share<T>, id: string, value: T): void => {
    share.values.delete(id);
    change(share, -BASE_BYTES - bytesOf(value));
  };
  const evictOne = (): void => {
    const [share] = classes.findLast(({ size }) => size > 0) ?? [];
    const [oldest] = share?.values ?? [];
    if (share === undefined || oldest === undefined)
      throw new Error(`The cache has ${bytes} bytes, but no value.`);
    remove(share, ...oldest);
  };

  return {
    get: (owner, id) => shares.get(owner)?.values.get(id),
    set: (owner, id, value) => {
      const share = shares.get(owner) ?? { owner, values: new Map<string, T>(), bytes: 0 };
      const before = share.values.get(id);
      if (before !== undefined) remove(share, id, before);
      shares.set(owner, share);
      share.values.set(id, value);
      change(share, BASE_BYTES + bytesOf(value));
      while (bytes > maxBytes) evictOne();
    },
  };
}

function classOf({ bytes }: Pick<Share<unknown>, "bytes">): number {
  return 31 - Math.clz32(bytes);
}
