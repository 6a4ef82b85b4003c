import { checkSecrets } from "../consumers/trigger-message.ts";
import { createEntriesInHand, type EntriesInHand } from "./entries-in-hand.ts";
import { renew } from "./group.ts";
import { handleEntry } from "./handle-entry.ts";
import { readUntilAborted } from "./read-entries.ts";
import type { StreamEntry } from "./read-trigger.ts";
import type { ConsumeStreamOptions } from "./stream-options.ts";

/**
 * Consumes the triggers of a stream as a member of a consumer group, until `signal` is aborted. Then it takes no more
 * entries, waits for the handlers that run, and resolves. It creates the group if it does not exist, takes over the
 * entries of consumers that have died, and goes on by itself when the connection fails.
 *
 * Rejects with a RangeError for a wrong option, with a WebhookVerificationError for a secret that is none, and with the
 * error of Redis if the credentials may not read the stream, or the key holds something else. All other errors go to
 * `onError`.
 *
 * @example
 * ```ts
 * import { Redis } from "ioredis";
 *
 * const redis = new Redis({ lazyConnect: true, enableReadyCheck: false });
 * export const consume = (signal: AbortSignal) =>
 *   consumeStream({
 *     redis,
 *     stream: "proj_01jd3k8z5me9t8r7q6p5n4m3k2:orders",
 *     group: "billing",
 *     consumer: "billing-1",
 *     secrets: process.env.EASYCRON_SIGNING_SECRET,
 *     onTrigger: (trigger) => console.log(trigger.job.name, trigger.payload),
 *     signal,
 *   });
 * ```
 */
export async function consumeStream<Client = undefined>(
  options: ConsumeStreamOptions<Client>,
): Promise<void> {
  const { concurrency = 10, claimAfterMs = 60_000, stopWithinMs = 30_000, onError = logError } = options;
  checkWhole("concurrency", concurrency, 1, 1_000);
  checkWhole("claimAfterMs", claimAfterMs, 1_000, MAX_TIMER_MS);
  checkWhole("stopWithinMs", stopWithinMs, 0, MAX_TIMER_MS);
  checkSecrets(options.secrets);
  const { redis, from, signal = new AbortController().signal } = options;
  const inHand = createEntriesInHand(concurrency, claimAfterMs * OWNED_SHARE);
  // A blocking read holds up all other commands of its connection, and takes longer than most of them may.
  const reader = redis.duplicate({ commandTimeout: READER_TIMEOUT_MS });
  reader.on("error", (error) => onError(error));
  const renewal = setInterval(() => {
    const ids = inHand.toRenew();
    if (ids.length > 0) renew(redis, options, ids).catch((error: unknown) => onError(error));
  }, claimAfterMs * RENEWED_SHARE);
  const start = (entry: StreamEntry) => inHand.add(String(entry[0]), handleEntry(entry, options, onError));
  try {
    await readUntilAborted({ reader, consumer: options, from, claimAfterMs, inHand, start, signal, onError });
  } finally {
    reader.disconnect();
    await waitForHandlers(inHand, stopWithinMs, onError);
    clearInterval(renewal);
  }
}

// An entry is renewed twice before another consumer may take it over. After a stand-still of more than OWNED_SHARE, one
// may have done so already.
const RENEWED_SHARE = 1 / 3;
const OWNED_SHARE = 0.8;
const READER_TIMEOUT_MS = 60_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

function checkWhole(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new RangeError(`${name} is ${value}; it must be a whole number from ${least} to ${most}.`);
}

function logError(error: unknown, entryId?: string): void {
  console.error(entryId === undefined ? "A stream's consumer:" : `The entry ${entryId}:`, error);
}

async function waitForHandlers(
  inHand: EntriesInHand,
  stopWithinMs: number,
  onError: (error: unknown) => void,
): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), stopWithinMs);
  });
  const outcome = await Promise.race([inHand.untilEmpty(), tooLate]);
  clearTimeout(timer);
  if (outcome !== "late") return;
  const left = `${inHand.size()} handlers still work ${stopWithinMs} ms after the stop`;
  onError(
    new Error(`${left}; their entries go to a consumer again. Raise stopWithinMs, or end them sooner.`),
  );
}
