import { type Clock, systemClock } from "../clock.ts";
import { DEFAULT_KEEP_MS, type IdempotencyStore, type TextStore } from "./store.ts";

/** Options of `memoryStore`. */
export interface MemoryStoreOptions {
  /** The most ids that are remembered. The one that was completed first is forgotten for a new one. Default 10,000. */
  readonly maxEntries?: number | undefined;
  /** How long a completed id is remembered, in milliseconds. Default 7 days. */
  readonly keepMs?: number | undefined;
  /** Default: the system's clock. */
  readonly clock?: Clock | undefined;
}

interface Entry {
  readonly token: number;
  /** Until when it is held, or, once it is completed, remembered. Epoch milliseconds. */
  readonly untilMs: number;
  /** Undefined until it is completed. */
  readonly result: string | undefined;
}

/**
 * Creates a store in this process's memory, for tests and for receivers that are one process. What it knows is lost
 * when the process ends. Its `claim` throws an Error when all of its entries are claims in progress.
 *
 * @example
 * ```ts
 * const store = memoryStore({ maxEntries: 50_000 });
 * const { kind } = await once("trg_1", store, () => console.log("This runs once."));
 * console.log(kind); // RAN
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): IdempotencyStore & TextStore {
  const { maxEntries = 10_000, keepMs = DEFAULT_KEEP_MS, clock = systemClock } = options;
  if (!(maxEntries >= 1)) throw new RangeError(`maxEntries is ${maxEntries}; it must be 1 or more.`);
  // In the order in which entries were claimed last, or completed.
  const entries = new Map<string, Entry>();
  const texts = new Map<string, string>();
  let lastToken = 0;
  const nowMs = () => clock.now().getTime();
  const put = (id: string, entry: Entry) => {
    entries.delete(id);
    entries.set(id, entry);
  };
  return {
    claim: async (id, { leaseMs, token }) => {
      const entry = entries.get(id);
      const leftMs = (entry?.untilMs ?? 0) - nowMs();
      const isMine = token !== undefined && entry?.token === token;
      if (entry?.result !== undefined && leftMs > 0) return { kind: "COMPLETED", result: entry.result };
      if (token !== undefined ? !isMine : leftMs > 0) {
        return { kind: "HELD", retryAfterMs: Math.max(1, leftMs) };
      }
      if (entry === undefined && entries.size >= maxEntries) makeRoom(entries, nowMs());
      const next = isMine ? token : ++lastToken;
      put(id, { token: next, untilMs: nowMs() + leaseMs, result: undefined });
      return { kind: "CLAIMED", token: next };
    },
    complete: async (id, token, result) => {
      const entry = entries.get(id);
      if (entry?.token !== token) return false;
      if (entry.result === undefined) put(id, { token, untilMs: nowMs() + keepMs, result });
      return true;
    },
    release: async (id, token) => {
      const entry = entries.get(id);
      if (entry?.token === token && entry.result === undefined) entries.delete(id);
    },
    read: async (key) => texts.get(key),
    swap: async (key, before, after) => {
      if (texts.get(key) !== before) return false;
      const [oldest] = texts.keys();
      texts.delete(key);
      if (texts.size >= maxEntries && oldest !== undefined) texts.delete(oldest);
      texts.set(key, after);
      return true;
    },
  };
}

/** Removes the first entry that nobody holds. */
function makeRoom(entries: Map<string, Entry>, nowMs: number): void {
  for (const [id, { untilMs, result }] of entries) {
    if (result === undefined && untilMs > nowMs) continue;
    entries.delete(id);
    return;
  }
  throw new Error(
    `The memory store holds ${entries.size} claims in progress, its maxEntries; set it higher.`,
  );
}
