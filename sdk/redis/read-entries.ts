import { errorCodeOf, RedisTimeoutError, type StreamClient } from "./client.ts";
import type { EntriesInHand } from "./entries-in-hand.ts";
import {
  acknowledge,
  type Consumer,
  claimAbandoned,
  createGroup,
  type Entries,
  readNew,
  readOwn,
  renew,
} from "./group.ts";
import type { StreamEntry } from "./read-trigger.ts";

/** What reading needs. */
export interface Reading {
  /** A connection of its own. */
  readonly reader: StreamClient;
  readonly consumer: Consumer;
  readonly from: "oldest" | "new" | undefined;
  readonly claimAfterMs: number;
  readonly inHand: EntriesInHand;
  /** Begins the work of an entry, which is then in hand. */
  readonly start: (entry: StreamEntry) => void;
  readonly signal: AbortSignal;
  readonly onError: (error: unknown, entryId?: string) => void;
}

/** Where a reader is. */
interface Position {
  /** Whether the group exists, as far as we know. */
  isJoined: boolean;
  wasJoined: boolean;
  /** The id after which our own old entries are read. Undefined when we have read them all. */
  ownAfter: string | undefined;
  claimFrom: string;
  claimAtMs: number;
}

const BLOCK_MS = 5_000;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;
// Another try cannot cure these.
const FATAL = new Set(["NOPERM", "NOAUTH", "WRONGPASS", "WRONGTYPE"]);

/**
 * Reads entries and starts their work until the signal is aborted: first this consumer's own from before, then, in turn,
 * those that others have abandoned and new ones. Never reads more than can be worked on. After an error it begins anew,
 * after pauses from 100 ms to 5 s. Throws only what another try cannot cure, as long as nothing has been read.
 */
export async function readUntilAborted(reading: Reading): Promise<void> {
  const { reader, signal, onError } = reading;
  const position: Position = {
    isJoined: false,
    wasJoined: false,
    ownAfter: "0",
    claimFrom: "0-0",
    claimAtMs: 0,
  };
  let failures = 0;
  while (!signal.aborted) {
    try {
      await orAborted(signal, readOnce(reading, position));
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!position.wasJoined && FATAL.has(errorCodeOf(error) ?? "")) throw error;
      onError(error);
      // An answer that was lost had entries that are ours now, and the group may be gone with the data of its server.
      Object.assign(position, { isJoined: false, ownAfter: "0" });
      if (error instanceof RedisTimeoutError) reader.disconnect(true);
      const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures) * (1 - Math.random() / 2);
      failures += 1;
      await pause(pauseMs, signal);
    }
  }
}

/** One step: makes sure that the group exists, and reads from the first source that may have entries. */
async function readOnce(reading: Reading, position: Position): Promise<void> {
  const { reader, consumer, inHand, claimAfterMs, from } = reading;
  if (!position.isJoined) {
    // A group that has vanished begins at the oldest entry, because what it had read is not known any more.
    await createGroup(reader, consumer, from === "new" && !position.wasJoined ? "$" : "0");
    Object.assign(position, { isJoined: true, wasJoined: true });
  }
  await inHand.untilFree();
  const count = inHand.free();
  if (position.ownAfter !== undefined) return readOwnFrom(reading, position, position.ownAfter);
  const nowMs = performance.now();
  if (nowMs >= position.claimAtMs) {
    const range = { count, idleMs: claimAfterMs, start: position.claimFrom };
    const claimed = await claimAbandoned(reader, consumer, range);
    position.claimFrom = claimed.next;
    if (claimed.next === "0-0") position.claimAtMs = nowMs + claimAfterMs / 2;
    return startAll(reading, claimed);
  }
  const blockMs = Math.max(1, Math.min(BLOCK_MS, Math.ceil(position.claimAtMs - nowMs)));
  startAll(reading, await readNew(reader, consumer, { count, blockMs }));
}

async function readOwnFrom(reading: Reading, position: Position, after: string): Promise<void> {
  const { reader, consumer, inHand } = reading;
  const own = await readOwn(reader, consumer, { count: inHand.free(), after });
  const ids = own.entries.map(([id]) => String(id));
  position.ownAfter = own.lastId;
  // Reading an entry again does not count as a sign of life.
  if (ids.length > 0) await renew(reader, consumer, ids);
  startAll(reading, own);
}

function startAll({ reader, consumer, inHand, start, onError, signal }: Reading, found: Entries): void {
  // Whoever stopped us does not expect handlers to begin.
  if (signal.aborted) return;
  for (const entry of found.entries) if (!inHand.has(String(entry[0]))) start(entry);
  for (const id of found.removedIds) {
    onError(new Error(`The stream removed the entry ${id} before it was acknowledged; raise maxLength.`), id);
    acknowledge(reader, consumer, id).catch((error: unknown) => onError(error, id));
  }
}

/** Resolves when the work has ended or the signal is aborted. */
function orAborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve();
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end, { once: true });
  });
}
