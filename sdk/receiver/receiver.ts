import type { Clock } from "../clock.ts";
import type { OnceContext } from "../idempotency/once.ts";
import type { IdempotencyStore, TransactionalStore } from "../idempotency/store.ts";
import type { TriggerFired } from "../trigger-fired.ts";
import type { VerifiedWebhook, WebhookHeaders } from "../webhook-request.ts";
import type { Acknowledgement } from "./acknowledgement.ts";
import type { ReceiverAnswer } from "./answer.ts";
import type { BodyLimits } from "./body.ts";
import type { NodeRequest, NodeResponse } from "./node-request.ts";

/** What `onTrigger` is told besides the trigger. */
export interface TriggerContext<Client = undefined> extends Omit<OnceContext<Client>, "token"> {
  /** The fencing token. 0 without a store. */
  readonly token: number;
  /** When this attempt was sent, to the second. */
  readonly timestamp: Date;
  /**
   * Acknowledges the attempt, now or after the answer. Undefined if the job wants no acknowledgement. If it does, the trigger
   * has succeeded only when `ack.succeed()` was called: what `onTrigger` returns only means that the work was taken on.
   */
  readonly ack: Acknowledgement | undefined;
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
  /** The longest that `onTrigger` and `onOther` may run, in milliseconds. Default 900,000 (15 minutes). */
  readonly maxRunMs?: number | undefined;
  /**
   * The address of EasyCron, to which `ack` sends its requests. Default: the one in the webhook's header easycron-ack-url,
   * which is not signed.
   */
  readonly apiUrl?: string | undefined;
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
  readonly node: (request: NodeRequest, response: NodeResponse) => Promise<void>;
  /** Answers a request of any other kind. Never rejects. */
  readonly receive: (request: IncomingWebhook) => Promise<ReceiverAnswer>;
}
