import { type Clock, systemClock } from "../clock.ts";
import { keepLease } from "./lease.ts";
import { HandlerTimeoutError, LostClaimError } from "./once-error.ts";
import { fromResultText, type ResultText, toResultText } from "./result-text.ts";
import { DEFAULT_MAX_RUN_MS, runBounded } from "./run-bounded.ts";
import type { IdempotencyStore, TransactionalStore } from "./store.ts";

/** What a handler is told. */
export interface OnceContext<Client = undefined> {
  /** The id of the trigger. */
  readonly id: string;
  /**
   * The fencing token: larger than that of every earlier attempt. A system that you write to can refuse a token that is
   * smaller than the last one it saw.
   */
  readonly token: number;
  /** Aborted when the claim is lost, or the time is up. Stop then. */
  readonly signal: AbortSignal;
  /** The connection with the open transaction, if the store has transactions; otherwise undefined. */
  readonly client: Client;
}

/** What became of a call of `once`. */
export type Outcome<T> =
  /** The handler ran now, and this is recorded. */
  | { readonly kind: "RAN"; readonly value: T }
  /** It ran before. `value` is what it returned then, as it comes back from JSON. */
  | { readonly kind: "ALREADY_DONE"; readonly value: T }
  /** Another attempt is running it. Ask again after so many milliseconds. */
  | { readonly kind: "IN_PROGRESS"; readonly retryAfterMs: number };

/** Options of `once`. */
export interface OnceOptions {
  /**
   * How long a claim outlives a crash, in milliseconds: 100 to 86,400,000, default 30,000. It is renewed while the
   * handler runs. Stores with transactions have no lease; there a crash ends the claim at once.
   */
  readonly leaseMs?: number | undefined;
  /** The longest that the handler may run, in milliseconds. Default 900,000 (15 minutes). */
  readonly maxRunMs?: number | undefined;
  /** Default: the system's clock. */
  readonly clock?: Clock | undefined;
}

/**
 * Runs a handler once for each trigger, however often the trigger is delivered:
 * `await once(trigger, store, () => pay(invoice))`. Of two deliveries at once, one runs it and the other gets
 * IN_PROGRESS. Later ones get what it returned, which must be JSON of at most 65,536 characters, or undefined. If the
 * handler throws, the error is thrown and the next attempt runs it again; if its process dies, the next attempt after
 * the lease does.
 *
 * Throws a LostClaimError when the claim was lost meanwhile, a HandlerTimeoutError when the handler takes too long, a
 * TypeError when the result cannot be stored (the handler counts as done), and whatever the store throws.
 *
 * @example
 * ```ts
 * const { trigger } = signTrigger({ job: "payroll" });
 * const outcome = await once(trigger, memoryStore(), async () => ({ paid: 42 }));
 * if (outcome.kind === "IN_PROGRESS") console.log(`Come again in ${outcome.retryAfterMs} ms.`);
 * else console.log(outcome.value.paid);
 * ```
 */
export async function once<T, Client = undefined>(
  trigger: string | { readonly trigger: string },
  store: IdempotencyStore | TransactionalStore<Client>,
  handler: (context: OnceContext<Client>) => T | Promise<T>,
  options: OnceOptions = {},
): Promise<Outcome<T>> {
  const run = toRun(typeof trigger === "string" ? trigger : trigger.trigger, options);
  return "run" in store ? runInTransaction(run, store, handler) : runUnderLease(run, store, handler);
}

interface Run {
  readonly id: string;
  readonly leaseMs: number;
  readonly maxRunMs: number;
  readonly clock: Clock;
  readonly controller: AbortController;
}

function toRun(id: unknown, options: OnceOptions): Run {
  const { leaseMs = 30_000, maxRunMs = DEFAULT_MAX_RUN_MS, clock = systemClock } = options;
  if (typeof id !== "string" || id === "" || id.length > 256) {
    throw new RangeError(`The id is ${JSON.stringify(id)}; it must be a text of 1 to 256 characters.`);
  }
  if (!(leaseMs >= 100 && leaseMs <= 86_400_000)) {
    throw new RangeError(`leaseMs is ${leaseMs}; it must be 100 to 86,400,000.`);
  }
  if (!(maxRunMs > 0 && maxRunMs < 2 ** 31)) {
    throw new RangeError(`maxRunMs is ${maxRunMs}; it must be from 1 to 2,147,483,647.`);
  }
  return { id, leaseMs, maxRunMs, clock, controller: new AbortController() };
}

type Handler<T, Client> = (context: OnceContext<Client>) => T | Promise<T>;

async function runUnderLease<T, Client>(
  run: Run,
  store: IdempotencyStore,
  handler: Handler<T, Client>,
): Promise<Outcome<T>> {
  const { id, leaseMs, controller } = run;
  const claim = await store.claim(id, { leaseMs });
  if (claim.kind !== "CLAIMED") return toOutcome(claim);
  const { token } = claim;
  const stopRenewing = keepLease({ ...run, store, token, onLost: (error) => controller.abort(error) });
  // A store without transactions has no client: Client is undefined then.
  const context = { id, token, signal: controller.signal, client: undefined as Client };
  let value: T;
  try {
    value = await runBounded(run, () => handler(context));
  } catch (error) {
    stopRenewing();
    // A handler that has not ended may still work, so its claim is kept until its lease ends. The claim ends by its
    // lease, too, if it cannot be released.
    if (!(error instanceof HandlerTimeoutError)) await store.release(id, token).catch(() => undefined);
    throw error;
  }
  stopRenewing();
  const result = toResultText(value);
  if (!(await store.complete(id, token, result.text))) throw new LostClaimError(id, controller.signal.reason);
  return toRan(value, result);
}

async function runInTransaction<T, Client>(
  run: Run,
  store: TransactionalStore<Client>,
  handler: Handler<T, Client>,
): Promise<Outcome<T>> {
  const { id, controller } = run;
  let ran: { readonly value: T; readonly result: ResultText } | undefined;
  const answer = await store.run(id, async ({ token, client }) => {
    const value = await runBounded(run, () => handler({ id, token, signal: controller.signal, client }));
    ran = { value, result: toResultText(value) };
    return ran.result.text;
  });
  if (answer.kind !== "RAN") return toOutcome(answer);
  if (ran === undefined) throw new Error(`The store said that it ran the handler of ${id}, but it did not.`);
  return toRan(ran.value, ran.result);
}

function toRan<T>(value: T, { problem }: ResultText): Outcome<T> {
  if (problem !== undefined) throw problem;
  return { kind: "RAN", value };
}

function toOutcome<T>(
  answer:
    | { readonly kind: "COMPLETED"; readonly result: string }
    | { readonly kind: "HELD"; readonly retryAfterMs: number },
): Outcome<T> {
  if (answer.kind === "HELD") return { kind: "IN_PROGRESS", retryAfterMs: answer.retryAfterMs };
  return { kind: "ALREADY_DONE", value: fromResultText(answer.result) as T };
}
