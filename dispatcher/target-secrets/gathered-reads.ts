import { createFifo, type Fifo } from "../lanes/fifo.ts";

/** Reads values by their keys, those that are asked for at the same time together. */
export interface GatheredReads<K, V> {
  /**
   * Reads the value of a key. Calls with the same key share one read while it waits or runs. Rejects with what `read`
   * throws, or with the error that it returns for this key.
   */
  load(key: K): Promise<V>;
}

/** How reads are gathered. */
export interface GatherOptions<K, V> {
  /** Reads a batch. Returns the value or the error of each key by its name. */
  readonly read: (keys: readonly K[]) => Promise<ReadonlyMap<string, V | Error>>;
  readonly nameOf: (key: K) => string;
  /** Whom the key belongs to. The owners take turns, so one with many keys does not delay the others. */
  readonly ownerOf: (key: K) => string;
  /** Most keys of one batch. */
  readonly most: number;
  /** Most batches that are read at once. */
  readonly atOnce: number;
}

interface Waiting<K, V> extends PromiseWithResolvers<V> {
  readonly key: K;
}

/** Gathers the reads that are asked for in one turn of the event loop, or while `atOnce` batches are being read. */
export function gatherReads<K, V>(options: GatherOptions<K, V>): GatheredReads<K, V> {
  const { read, nameOf, ownerOf, most, atOnce } = options;
  const known = new Map<string, Promise<V>>();
  const queues = new Map<string, Fifo<Waiting<K, V>>>();
  let running = 0;

  const run = async (batch: readonly Waiting<K, V>[]): Promise<void> => {
    try {
      const found = await read(batch.map(({ key }) => key));
      for (const waiting of batch) settle(waiting, nameOf(waiting.key), found);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      for (const { key } of batch) known.delete(nameOf(key));
      running -= 1;
      start();
    }
  };
  const start = (): void => {
    while (running < atOnce && queues.size > 0) {
      running += 1;
      void run(takeTurns(queues, most));
    }
  };

  return {
    load: (key) => {
      const name = nameOf(key);
      const same = known.get(name);
      if (same !== undefined) return same;
      const waiting = { key, ...Promise.withResolvers<V>() };
      known.set(name, waiting.promise);
      const owner = ownerOf(key);
      const queue = queues.get(owner) ?? createFifo();
      queue.push(waiting);
      queues.set(owner, queue);
      queueMicrotask(start);
      return waiting.promise;
    },
  };
}

function settle<K, V>(
  { resolve, reject }: Waiting<K, V>,
  name: string,
  found: ReadonlyMap<string, V | Error>,
): void {
  const value = found.get(name) ?? new Error(`Nothing was read for ${name}.`);
  if (value instanceof Error) reject(value);
  else resolve(value);
}

/** Takes at most `most` items, one of each queue after the other. A queue that is not empty goes to the end. */
function takeTurns<T>(queues: Map<string, Fifo<T>>, most: number): T[] {
  const taken: T[] = [];
  for (const [owner, queue] of queues) {
    if (taken.length >= most) break;
    queues.delete(owner);
    const first = queue.shift();
    if (first === undefined) continue;
    taken.push(first);
    if (queue.size > 0) queues.set(owner, queue);
  }
  return taken;
}
