import type { ServerResponse } from "node:http";
import { type Clock, systemClock } from "../clock.ts";
import { type OnceContext, type OnceOptions, type Outcome, once } from "../idempotency/once.ts";
import { DEFAULT_MAX_RUN_MS, runBounded } from "../idempotency/run-bounded.ts";
import type { IdempotencyStore, TransactionalStore } from "../idempotency/store.ts";
import type { TriggerFired } from "../trigger-fired.ts";
import { type VerifiedWebhook, verify, type WebhookHeaders } from "../webhook.ts";
import { NOT_POST, type ReceiverAnswer, toAnswer, toErrorAnswer } from "./answer.ts";
import type { BodyLimits } from "./body.ts";
import { type NodeRequest, readNodeBody, sendNodeAnswer } from "./node-request.ts";
import { RefuseTriggerError } from "./receiver-error.ts";
import { readWebBody, toResponse } from "./web-request.ts";

/** What `onTrigger` is told besides the trigger. */
export interface TriggerContext<Client = undefined> extends Omit<OnceContext<Client>, "token"> {
  /** The fencing token. 0 without a store. */
  readonly token: number;
  /** When this attempt was sent, to the second. */
  readonly timestamp: Date;
}

/** What a receiver needs. */
export interface ReceiverOptions<Client = undefined> {
  /** The signing secret, `whsec_…`; several while you replace one. If it is missing, each request gets 500. */
  readonly secrets: string | readonly string[] | undefined;
  /**
   * Does the work of a trigger. What it returns is the answer, as JSON of at most 65,536 characters; nothing is 204. If
   * it throws, the trigger is tried again: a TryAgainError says when, and a RefuseTriggerError says never.
   */
  readonly onTrigger: (trigger: TriggerFired, context: TriggerContext<Client>) => unknown;
  /** Remembers which triggers are done, so that none is done twice. Default: none, and a trigger may come twice. */
  readonly store?: IdempotencyStore | TransactionalStore<Client> | undefined;
  /** Handles a signed webhook that is not a trigger. Default: it is refused for good. */
  readonly onOther?: ((webhook: VerifiedWebhook) => unknown) | undefined;
  /** Called with each error, to log it; `id` is undefined if the request is not genuine. Default: `console.error`. */
  readonly onError?: ((error: unknown, request: { readonly id: string | undefined }) => void) | undefined;
  /** The largest body that is read, in bytes. Default 1,048,576. */
  readonly maxBodyBytes?: number | undefined;
  /** The longest time in which the body must come, in milliseconds. Default 10,000. */
  readonly bodyTimeoutMs?: number | undefined;
  /** How far the sender's clock may be from this one, in seconds. Default 300. */
  readonly toleranceSeconds?: number | undefined;
  /** How long a claim in the store outlives a crash, in milliseconds. Default 30,000. */
  readonly leaseMs?: number | undefined;
  /** The longest that `onTrigger` may run, in milliseconds. Default 900,000 (15 minutes). */
  readonly maxRunMs?: number | undefined;
  /** Default: the system's clock. */
  readonly clock?: Clock | undefined;
}

/** A request, as an adapter gives it. */
export interface IncomingWebhook {
  readonly method: string;
  readonly headers: WebhookHeaders;
  /** Reads the body as it came. Throws an error if it cannot. */
  readonly readBody: (limits: BodyLimits) => Promise<string | Uint8Array>;
}

/** Answers webhooks. Its functions need no `this`. */
export interface Receiver {
  /** Answers a web-standard request. Never rejects. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Answers a request of Node's `http`: `createServer(receiver.node)`. Never rejects. */
  readonly node: (request: NodeRequest, response: ServerResponse) => Promise<void>;
  /** Answers a request of any other kind. Never rejects. */
  readonly receive: (request: IncomingWebhook) => Promise<ReceiverAnswer>;
}

/**
 * Creates a receiver of EasyCron's webhooks. It reads the body as it came, verifies the signature, runs `onTrigger`
 * once for each trigger if it has a store, and answers so that EasyCron tries again if, and only if, it should:
 *
 * - 2xx: `onTrigger` has returned, now or at an earlier attempt.
 * - 400: not genuine. 405, 408, 413: not a POST, too slow, too large.
 * - 409 with Retry-After: another attempt is in progress.
 * - 4xx with `webhook-delivery: abort-message`: a RefuseTriggerError. It is not tried again; everything else is.
 * - 503: a TryAgainError. 500: any other error, a missing secret, a body that was parsed before.
 *
 * @example
 * ```ts
 * import { createServer } from "node:http";
 *
 * const receiver = createReceiver({
 *   secrets: process.env.EASYCRON_SIGNING_SECRET,
 *   store: memoryStore(), // or redisStore(client), postgresStore(pool)
 *   onTrigger: (trigger) => console.log(`${trigger.job.name} was due at ${trigger.nominalTime}`),
 * });
 * const server = createServer(receiver.node); // server.listen(9000)
 * console.log(server.listening);
 * ```
 */
export function createReceiver<Client = undefined>(options: ReceiverOptions<Client>): Receiver {
  const {
    maxBodyBytes = 1_048_576,
    bodyTimeoutMs = 10_000,
    clock = systemClock,
    onError = logError,
  } = options;
  const limits = { maxBytes: maxBodyBytes, timeoutMs: bodyTimeoutMs, clock };
  const receive = async (request: IncomingWebhook): Promise<ReceiverAnswer> => {
    if (request.method !== "POST") return NOT_POST;
    let id: string | undefined;
    try {
      const webhook = verify(await request.readBody(limits), request.headers, options.secrets, {
        now: () => clock.now(),
        ...(options.toleranceSeconds === undefined ? {} : { toleranceSeconds: options.toleranceSeconds }),
      });
      id = webhook.id;
      return toAnswer(await handle(webhook, options));
    } catch (error) {
      report(onError, error, id);
      return toErrorAnswer(error);
    }
  };
  return {
    receive,
    fetch: async (request) => {
      const readBody = (within: BodyLimits) => readWebBody(request, within);
      return toResponse(await receive({ method: request.method, headers: request.headers, readBody }));
    },
    node: async (request, response) => {
      const { method = "", headers } = request;
      const readBody = (within: BodyLimits) => readNodeBody(request, within, NODE_CURE);
      sendNodeAnswer(response, await receive({ method, headers, readBody }));
    },
  };
}

const NODE_CURE = "Mount the receiver before the body parser (express.json(), for example).";

async function handle<Client>(
  webhook: VerifiedWebhook,
  options: ReceiverOptions<Client>,
): Promise<Outcome<unknown>> {
  const { id, trigger, timestamp } = webhook;
  const { store, onTrigger } = options;
  if (trigger === undefined) return handleOther(webhook, options);
  if (store === undefined) {
    const { maxRunMs = DEFAULT_MAX_RUN_MS, clock = systemClock } = options;
    const controller = new AbortController();
    // Without a store there is no client: Client is undefined then.
    const context = { id, timestamp, token: 0, signal: controller.signal, client: undefined as Client };
    const act = () => onTrigger(trigger, context);
    return { kind: "RAN", value: await runBounded({ id, maxRunMs, clock, controller }, act) };
  }
  const { leaseMs, maxRunMs, clock } = options satisfies OnceOptions;
  return once(id, store, (context) => onTrigger(trigger, { ...context, timestamp }), {
    leaseMs,
    maxRunMs,
    clock,
  });
}

async function handleOther<Client>(
  webhook: VerifiedWebhook,
  { onOther }: ReceiverOptions<Client>,
): Promise<Outcome<unknown>> {
  if (onOther === undefined) {
    throw new RefuseTriggerError("The webhook is not a trigger, and the receiver has no onOther for others.");
  }
  return { kind: "RAN", value: await onOther(webhook) };
}

function report(
  onError: (error: unknown, request: { readonly id: string | undefined }) => void,
  error: unknown,
  id: string | undefined,
): void {
  try {
    onError(error, { id });
  } catch (failure) {
    // The sender gets its answer all the same.
    logError(error, { id });
    logError(failure, { id });
  }
}

function logError(error: unknown, { id }: { readonly id: string | undefined }): void {
  console.error(`easycron: ${id ?? "a request that is not genuine"}:`, error);
}
