import { DEFAULT_KEEP_MS, type TransactionAnswer, type TransactionalStore } from "../idempotency/store.ts";
import { inTime, send } from "./client.ts";

/** The commands of a transaction of an ioredis client. */
interface Commands {
  call(command: string, ...args: (string | number)[]): unknown;
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

/** What is needed of a client of Redis: an `ioredis` client, version 5 or newer, has it. */
export interface TransactionClient<Multi> {
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  multi(): Multi;
  duplicate(): TransactionClient<Multi>;
  disconnect(): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** Options of `redisTransactions`. */
export interface RedisTransactionsOptions {
  /** What every key of the store begins with: the plugin's prefix, `app:`, and a name, such as `proj_…:app:done:`. */
  readonly prefix: string;
  /** How long a completed id is remembered, in milliseconds. Default 7 days. */
  readonly keepMs?: number;
}

/** A store whose handlers write into Redis, in one transaction with the mark that says that the trigger is done. */
export interface RedisTransactions<Multi> extends TransactionalStore<Multi> {
  /** Closes its connections. */
  close(): void;
}

const ANSWER_WITHIN_MS = 10_000;

/**
 * Creates a store in the Redis of the plugin, which allows no scripts. A handler adds its commands to `client`, an
 * ioredis `multi()`, and does not execute it: `onTrigger: (trigger, { client }) => client.incr(key)`. They take effect
 * together with the mark, or not at all, so their effect happens once. Two consumers may run a handler at the same time;
 * one of them then has no effect.
 *
 * Redis takes nothing back when one command of a transaction fails. The trigger then counts as done, and `once` throws
 * the error. Each handler that runs has a connection of its own.
 *
 * @example
 * ```ts
 * import { Redis } from "ioredis";
 *
 * const prefix = "proj_01jd3k8z5me9t8r7q6p5n4m3k2:app:";
 * const redis = new Redis({ lazyConnect: true, enableReadyCheck: false });
 * const store = redisTransactions(redis, { prefix: `${prefix}done:` });
 * const receiver = createReceiver({
 *   secrets: process.env.EASYCRON_SIGNING_SECRET,
 *   store,
 *   onTrigger: (_trigger, { client }) => void client.incr(`${prefix}count`),
 * });
 * console.log(typeof receiver.node);
 * store.close();
 * ```
 */
export function redisTransactions<Multi extends Commands>(
  redis: TransactionClient<Multi>,
  { prefix, keepMs = DEFAULT_KEEP_MS }: RedisTransactionsOptions,
): RedisTransactions<Multi> {
  const idle: TransactionClient<Multi>[] = [];
  let isClosed = false;
  const connect = () => {
    const client = redis.duplicate();
    // The command that fails is rejected, too.
    client.on("error", () => {});
    return client;
  };
  return {
    run: async (id, work) => {
      const client = idle.pop() ?? connect();
      let isClean = false;
      try {
        const answer = await runOnce(
          client,
          { id, key: prefix + id, tokens: `${prefix}tokens`, keepMs },
          work,
        );
        isClean = !isClosed;
        return answer;
      } finally {
        // After a failure, its connection may still watch a key.
        if (isClean) idle.push(client);
        else client.disconnect();
      }
    },
    close: () => {
      isClosed = true;
      for (const client of idle.splice(0)) client.disconnect();
    },
  };
}

interface Mark {
  readonly id: string;
  readonly key: string;
  /** The key that counts tokens. */
  readonly tokens: string;
  readonly keepMs: number;
}

async function runOnce<Multi extends Commands>(
  client: TransactionClient<Multi>,
  { id, key, tokens, keepMs }: Mark,
  work: (claim: { readonly token: number; readonly client: Multi }) => Promise<string>,
): Promise<TransactionAnswer> {
  const ask = (command: string, ...args: (string | number)[]) =>
    send(client, ANSWER_WITHIN_MS, command, ...args);
  await ask("WATCH", key);
  const done = await ask("GET", key);
  if (typeof done === "string") {
    await ask("UNWATCH");
    return { kind: "COMPLETED", result: done };
  }
  const token = Number(await ask("INCR", tokens));
  const multi = client.multi();
  const result = await work({ token, client: multi });
  multi.call("SET", key, result, "PX", keepMs);
  const answers = await inTime(multi.exec(), ANSWER_WITHIN_MS, "EXEC");
  // Another consumer has set the mark meanwhile, so nothing was executed.
  if (answers === null) return { kind: "HELD", retryAfterMs: 1 };
  const failed = answers.find(([error]) => error !== null)?.[0];
  if (failed)
    throw new Error(`A command of the transaction of ${id} failed; the others took effect.`, {
      cause: failed,
    });
  return { kind: "RAN" };
}
