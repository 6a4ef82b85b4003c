import { errorCodeOf, type StreamClient, send } from "./client.ts";
import type { RedisValue, StreamEntry } from "./read-trigger.ts";

/** A consumer of a stream's consumer group. */
export interface Consumer {
  readonly stream: string;
  readonly group: string;
  readonly consumer: string;
}

/** Entries that a command returned. */
export interface Entries {
  readonly entries: readonly StreamEntry[];
  /** Ids of entries that were given to a consumer, and that the stream has removed since. */
  readonly removedIds: readonly string[];
  /** The id of the last of all of them. Undefined if there is none. */
  readonly lastId: string | undefined;
}

const ANSWER_WITHIN_MS = 10_000;

/** Creates the group, and the stream if it does not exist, unless the group exists. `from` is the id after which it begins. */
export async function createGroup(
  client: StreamClient,
  { stream, group }: Consumer,
  from: "0" | "$",
): Promise<void> {
  try {
    await send(client, ANSWER_WITHIN_MS, "XGROUP", "CREATE", stream, group, from, "MKSTREAM");
  } catch (error) {
    if (errorCodeOf(error) !== "BUSYGROUP") throw error;
  }
}

/** Reads entries that no consumer has got yet. Waits for the first one for `blockMs`. */
export async function readNew(
  client: StreamClient,
  { stream, group, consumer }: Consumer,
  { count, blockMs }: { readonly count: number; readonly blockMs: number },
): Promise<Entries> {
  const args = ["GROUP", group, consumer, "COUNT", count, "BLOCK", blockMs, "STREAMS", stream, ">"];
  return entriesOf(firstStream(await send(client, blockMs + ANSWER_WITHIN_MS, "XREADGROUP", ...args)));
}

/** Reads entries that this consumer got before, and that are not acknowledged. `after` is the id after which it begins. */
export async function readOwn(
  client: StreamClient,
  { stream, group, consumer }: Consumer,
  { count, after }: { readonly count: number; readonly after: string },
): Promise<Entries> {
  const args = ["GROUP", group, consumer, "COUNT", count, "STREAMS", stream, after];
  return entriesOf(firstStream(await send(client, ANSWER_WITHIN_MS, "XREADGROUP", ...args)));
}

/** Takes over entries that their consumer has not acknowledged for `idleMs`. `next` is where to go on; "0-0": all seen. */
export async function claimAbandoned(
  client: StreamClient,
  { stream, group, consumer }: Consumer,
  { count, idleMs, start }: { readonly count: number; readonly idleMs: number; readonly start: string },
): Promise<Entries & { readonly next: string }> {
  const args = [stream, group, consumer, idleMs, start, "COUNT", count];
  const answer = toList(await send(client, ANSWER_WITHIN_MS, "XAUTOCLAIM", ...args));
  const found = entriesOf(answer[1]);
  // Redis 7 has taken the removed ones out of the group already, and lists them apart.
  const removedIds = [...found.removedIds, ...toList(answer[2]).map(String)];
  return { ...found, next: String(answer[0]), removedIds };
}

/** Acknowledges an entry. */
export async function acknowledge(
  client: StreamClient,
  { stream, group }: Consumer,
  id: string,
): Promise<void> {
  await send(client, ANSWER_WITHIN_MS, "XACK", stream, group, id);
}

/** Begins anew to count how long entries have not been acknowledged, so that no other consumer takes them over. */
export async function renew(
  client: StreamClient,
  { stream, group, consumer }: Consumer,
  ids: readonly string[],
): Promise<void> {
  await send(client, ANSWER_WITHIN_MS, "XCLAIM", stream, group, consumer, 0, ...ids, "JUSTID");
}

// One stream was asked for. The answer is [[stream, entries]], or [stream, entries] from a client that speaks RESP3.
function firstStream(answer: unknown): unknown {
  const list = toList(answer);
  return Array.isArray(list[0]) ? list[0][1] : list[1];
}

function entriesOf(answer: unknown): Entries {
  const entries: StreamEntry[] = [];
  const removedIds: string[] = [];
  let lastId: string | undefined;
  for (const entry of toList(answer)) {
    const [id, fields] = toList(entry);
    if (id === undefined) continue;
    if (Array.isArray(fields)) entries.push([String(id), fields as RedisValue[]]);
    else removedIds.push(String(id));
    lastId = String(id);
  }
  return { entries, removedIds, lastId };
}

function toList(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? answer : [];
}
