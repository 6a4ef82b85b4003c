import type { Clock } from "../clock.ts";
import { CLAIM, COMPLETE, READ, RELEASE, SWAP } from "./redis-scripts.ts";
import { type ClaimAnswer, DEFAULT_KEEP_MS, type IdempotencyStore, type TextStore } from "./store.ts";

/** A client of ioredis. */
export interface IoredisClient {
  eval(script: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
  /** Only ioredis has it; it tells the two clients apart. */
  defineCommand(name: string, definition: { lua: string }): void;
}

/** A client of node-redis (the package `redis`). */
export interface NodeRedisClient {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/** Options of `redisStore`. */
export interface RedisStoreOptions {
  /** What every key begins with. Default `easycron:`. */
  readonly prefix?: string | undefined;
  /** How long a completed id is remembered, in milliseconds. Default 7 days. */
  readonly keepMs?: number | undefined;
  /** Replaces Redis's own clock, for tests. */
  readonly clock?: Pick<Clock, "now"> | undefined;
}

/** How long the text of a key is kept after its last change: 400 days, so that a yearly job has one. */
const KEEP_TEXT_MS = 400 * 86_400_000;

/**
 * Creates a store in Redis 5 or newer, with the client of ioredis or node-redis that you have. Redis's clock decides
 * about leases, so the clocks of your processes may differ. Redis must keep its data (`appendonly yes`, no eviction):
 * an id that it loses can run again.
 *
 * @example
 * ```ts
 * import { Redis } from "ioredis";
 *
 * const store = redisStore(new Redis({ lazyConnect: true }), { prefix: "billing:" });
 * const receiver = createReceiver({
 *   secrets: process.env.EASYCRON_SIGNING_SECRET,
 *   store,
 *   onTrigger: (trigger) => console.log(trigger.job.name),
 * });
 * console.log(typeof receiver.node);
 * ```
 */
export function redisStore(
  client: IoredisClient | NodeRedisClient,
  options: RedisStoreOptions = {},
): IdempotencyStore & TextStore {
  const { prefix = "easycron:", keepMs = DEFAULT_KEEP_MS, clock } = options;
  const run = (script: string, key: string, ...args: (string | number)[]): Promise<unknown> => {
    const texts = args.map(String);
    return "defineCommand" in client
      ? client.eval(script, 1, prefix + key, ...texts)
      : client.eval(script, { keys: [prefix + key], arguments: texts });
  };
  const now = () => clock?.now().getTime() ?? "";
  return {
    claim: async (id, { leaseMs, token = "" }) =>
      toClaimAnswer(await run(CLAIM, `once:${id}`, now(), leaseMs, keepMs, token)),
    complete: async (id, token, result) =>
      (await run(COMPLETE, `once:${id}`, now(), keepMs, token, result)) === 1,
    release: async (id, token) => {
      await run(RELEASE, `once:${id}`, token);
    },
    read: async (key) => {
      const text = await run(READ, `text:${key}`);
      return typeof text === "string" ? text : undefined;
    },
    swap: async (key, before, after) => {
      const hasBefore = before === undefined ? 0 : 1;
      return (await run(SWAP, `text:${key}`, hasBefore, before ?? "", after, KEEP_TEXT_MS)) === 1;
    },
  };
}

function toClaimAnswer(answer: unknown): ClaimAnswer {
  const [kind, value] = Array.isArray(answer) ? answer.map(String) : [];
  if (kind === "COMPLETED" && value !== undefined) return { kind, result: value };
  if (kind === "CLAIMED") return { kind, token: Number(value) };
  if (kind === "HELD") return { kind, retryAfterMs: Number(value) };
  throw new TypeError(`Redis answered ${JSON.stringify(answer)} to a claim; texts are needed, not Buffers.`);
}
