import { systemClock } from "../clock.ts";
import { type OnceContext, type OnceOptions, type Outcome, once } from "../idempotency/once.ts";
import { DEFAULT_MAX_RUN_MS, runBounded } from "../idempotency/run-bounded.ts";
import type { VerifiedWebhook, VerifyOptions, WebhookHeaders } from "../webhook-request.ts";
import { type Acknowledgement, acknowledgementOf } from "./acknowledgement.ts";
import { NOT_POST, type ReceiverAnswer, toAnswer, toErrorAnswer } from "./answer.ts";
import type { BodyLimits } from "./body.ts";
import { checkReceiverOptions } from "./check-options.ts";
import { readNodeBody, sendNodeAnswer } from "./node-request.ts";
import type { IncomingWebhook, Receiver, ReceiverOptions } from "./receiver.ts";
import { RefuseTriggerError } from "./receiver-error.ts";
import { readWebBody, toResponse } from "./web-request.ts";

/** The `verifyAsync` of the runtime: by `node:crypto`, or by WebCrypto. */
type Verify = (
  rawBody: string | Uint8Array,
  headers: WebhookHeaders,
  secrets: string | readonly string[] | undefined,
  options: VerifyOptions,
) => Promise<VerifiedWebhook>;

/** Makes a receiver that verifies by a function of the runtime. Throws a TypeError for options that cannot be used. */
export function makeReceiver<Client>(verify: Verify, options: ReceiverOptions<Client>): Receiver {
  checkReceiverOptions(options);
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
      const webhook = await verify(await request.readBody(limits), request.headers, options.secrets, {
        now: () => clock.now(),
        ...(options.toleranceSeconds === undefined ? {} : { toleranceSeconds: options.toleranceSeconds }),
      });
      id = webhook.id;
      const ack = acknowledgementOf(request.headers, id, { apiUrl: options.apiUrl });
      return toAnswer(await handle(webhook, ack, options));
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
  ack: Acknowledgement | undefined,
  options: ReceiverOptions<Client>,
): Promise<Outcome<unknown>> {
  const { id, trigger, timestamp } = webhook;
  const { store, onTrigger } = options;
  if (trigger === undefined) return handleOther(webhook, options);
  if (store === undefined) {
    const { maxRunMs = DEFAULT_MAX_RUN_MS, clock = systemClock } = options;
    const controller = new AbortController();
    // Without a store there is no client: Client is undefined then.
    const context = { id, timestamp, token: 0, signal: controller.signal, client: undefined as Client, ack };
    const act = async () => refuseResponse(await onTrigger(trigger, context));
    return { kind: "RAN", value: await runBounded({ id, maxRunMs, clock, controller }, act) };
  }
  const { leaseMs, maxRunMs, clock } = options satisfies OnceOptions;
  const act = async (context: OnceContext<Client>) =>
    refuseResponse(await onTrigger(trigger, { ...context, id, timestamp, ack }));
  // Another attempt comes because the work of the one before was not acknowledged as a success: it is to be done again.
  const work = ack === undefined ? id : `${id}.${trigger.attempt}`;
  return once(work, store, act, { leaseMs, maxRunMs, clock });
}

/** Throws a TypeError for a Response, which would be sent as JSON with the status 200, whatever its own status is. */
function refuseResponse(value: unknown): unknown {
  if (Object.prototype.toString.call(value) !== "[object Response]") return value;
  throw new TypeError(
    "The handler returned a Response; return data or nothing, and throw a TryAgainError or a RefuseTriggerError to refuse.",
  );
}

async function handleOther<Client>(
  webhook: VerifiedWebhook,
  { onOther, maxRunMs = DEFAULT_MAX_RUN_MS, clock = systemClock }: ReceiverOptions<Client>,
): Promise<Outcome<unknown>> {
  if (onOther === undefined) {
    throw new RefuseTriggerError("The webhook is not a trigger, and the receiver has no onOther for others.");
  }
  const { id } = webhook;
  const bounds = { id, maxRunMs, clock, controller: new AbortController() };
  return { kind: "RAN", value: await runBounded(bounds, async () => refuseResponse(await onOther(webhook))) };
}

function report(
  onError: (error: unknown, request: { readonly id: string | undefined }) => void,
  error: unknown,
  id: string | undefined,
): void {
  // The sender gets its answer all the same.
  const fail = (failure: unknown) => {
    logError(error, { id });
    logError(failure, { id });
  };
  try {
    const reported: unknown = onError(error, { id });
    Promise.resolve(reported).catch(fail);
  } catch (failure) {
    fail(failure);
  }
}

function logError(error: unknown, { id }: { readonly id: string | undefined }): void {
  console.error(`easycron: ${id ?? "a request that is not genuine"}:`, error);
}
