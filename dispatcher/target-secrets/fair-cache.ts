/** A cache of texts by owner and id. When it is full, an owner that has much loses its own texts, and no other does. */
export interface FairCache {
  get(owner: string, id: string): string | undefined;
  /** Keeps a text, unless the id has one already. */
  set(owner: string, id: string, text: string): void;
}

interface Share {
  readonly owner: string;
  /** The oldest first. */
  readonly texts: Map<string, string>;
  bytes: number;
}

/** Rough size of an entry without its text. */
const BASE_BYTES = 200;

/**
 * Makes a cache of roughly `maxBytes`. When it is full, it removes the oldest text of an owner that has the most, or at
 * least half of that. Owners are in classes by the power of two of their bytes, so finding one takes the same short time,
 * however many there are.
 */
export function createFairCache(maxBytes: number): FairCache {
  const shares = new Map<string, Share>();
  const classes = Array.from({ length: 32 }, () => new Set<Share>());
  let bytes = 0;

  const change = (share: Share, by: number): void => {
    classes[classOf(share)]?.delete(share);
    share.bytes += by;
    bytes += by;
    if (share.texts.size > 0) classes[classOf(share)]?.add(share);
    else shares.delete(share.owner);
  };
  const evictOne = (): void => {
    const [share] = classes.findLast(({ size }) => size > 0) ?? [];
    const [oldest] = share?.texts ?? [];
    if (share === undefined || oldest === undefined)
      throw new Error(`The cache has ${bytes} bytes, but no text.`);
    const [id, text] = oldest;
    share.texts.delete(id);
    change(share, -sizeOf(text));
  };

  return {
    get: (owner, id) => shares.get(owner)?.texts.get(id),
    set: (owner, id, text) => {
      const share = shares.get(owner) ?? { owner, texts: new Map<string, string>(), bytes: 0 };
      if (share.texts.has(id)) return;
      shares.set(owner, share);
      share.texts.set(id, text);
      change(share, sizeOf(text));
      while (bytes > maxBytes) evictOne();
    },
  };
}

function classOf({ bytes }: Share): number {
  return 31 - Math.clz32(bytes);
}

function sizeOf(text: string): number {
  return BASE_BYTES + text.length;
}
