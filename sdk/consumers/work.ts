import { type Clock, systemClock } from "../clock.ts";
import { type OnceContext, once } from "../idempotency/once.ts";
import { DEFAULT_MAX_RUN_MS, runBounded } from "../idempotency/run-bounded.ts";
import type { IdempotencyStore, TransactionalStore } from "../idempotency/store.ts";
import type { ReceivedTrigger } from "./trigger-message.ts";

/** What a handler is told besides the trigger. */
export interface TriggerContext<Client = undefined>
  extends Omit<OnceContext<Client>, "token" | "id">,
    Omit<ReceivedTrigger, "trigger"> {
  /** The fencing token. 0 without a store. */
  readonly token: number;
}

/** How the work of a trigger is done. */
export interface WorkOptions<Client = undefined> {
  /**
   * Remembers which triggers the group has done, so that none is done twice. Groups may share a store. Default: none,
   * and a trigger may come twice.
   */
  readonly store?: IdempotencyStore | TransactionalStore<Client> | undefined;
  /** How long a claim in the store outlives a crash, in milliseconds. Default 30,000. */
  readonly leaseMs?: number | undefined;
  /** The longest that `onTrigger` may run, in milliseconds. Default 900,000 (15 minutes). */
  readonly maxRunMs?: number | undefined;
  /** Default: the system's clock. */
  readonly clock?: Clock | undefined;
}

/**
 * Runs a handler for a trigger, once if there is a store. Returns undefined when the trigger is done, now or before, or
 * after how many milliseconds to ask again because another consumer works on it. Throws what the handler throws, and
 * what `once` throws.
 */
export async function work<Client>(
  { id, timestamp }: ReceivedTrigger,
  { store, leaseMs, maxRunMs = DEFAULT_MAX_RUN_MS, clock = systemClock }: WorkOptions<Client>,
  group: string | undefined,
  handler: (context: TriggerContext<Client>) => unknown,
): Promise<number | undefined> {
  if (store === undefined) {
    const controller = new AbortController();
    // Without a store there is no client: Client is undefined then.
    const context = { id, timestamp, token: 0, signal: controller.signal, client: undefined as Client };
    await runBounded({ id, maxRunMs, clock, controller }, () => handler(context));
    return undefined;
  }
  // Each group does each trigger, so what one group has done must not count for another one.
  const outcome = await once(
    `${group}:${id}`,
    store,
    async (context) => {
      // The result is not stored: nobody reads it, and it need not be JSON.
      await handler({ ...context, id, timestamp });
    },
    { leaseMs, maxRunMs, clock },
  );
  return outcome.kind === "IN_PROGRESS" ? outcome.retryAfterMs : undefined;
}
