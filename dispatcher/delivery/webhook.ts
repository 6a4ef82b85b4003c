import type { KeyObject } from "node:crypto";
import type { Dispatcher } from "undici";
import { toIso } from "../../mesh/iso-time.ts";
import { newTraceparent } from "../../mesh/trace.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { Delivery } from "./outcome.ts";
import { signWebhook } from "./signature.ts";
import type { Spec, SpecTarget } from "./spec.ts";
import { toDelivery, toFailure, WebhookTimeout } from "./webhook-answer.ts";
import { toWebhookBody } from "./webhook-body.ts";

/** One attempt to be made. */
export interface WebhookAttempt {
  readonly trigger: HeldTrigger;
  /** 1 for the first. */
  readonly number: number;
  readonly spec: Spec;
  readonly target: SpecTarget & { readonly kind: "webhook" };
  /** At least one, newest first. */
  readonly keys: readonly KeyObject[];
  /** Epoch milliseconds of its start. */
  readonly startTimeMs: number;
}

/** What webhooks are sent with. */
export interface WebhookParts {
  readonly agent: Dispatcher;
  readonly userAgent: string;
}

/** Longest part of an answer's body that is read. */
export const MAX_BODY_BYTES = 16 * 1024;

/**
 * Makes one attempt: a signed request, no redirects, at most the specification's attempt timeout from connecting to
 * the end of the answer. Never throws for what the endpoint does. `dispatch` instead of `request` because it tells
 * when the request is written, which is what parts NOT_SENT from UNKNOWN, and because a time limit can end it even
 * while it still connects. It takes 24 µs of CPU with its time limit, where `request` with AbortSignal.timeout takes 33.
 */
export function deliverWebhook(parts: WebhookParts, attempt: WebhookAttempt): Promise<Delivery> {
  const { spec, target } = attempt;
  const body = Buffer.from(
    toWebhookBody(attempt.trigger, attempt.number, attempt.trigger.payload ?? spec.payload),
  );
  const options: Dispatcher.DispatchOptions = {
    origin: target.origin,
    path: target.path,
    method: target.method,
    headers: toHeaders(parts, attempt, body),
    body,
    // The time limit below is the only one.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
  return new Promise((resolve) => send(parts.agent, options, spec.attemptTimeoutMs, resolve));
}

function toHeaders(parts: WebhookParts, attempt: WebhookAttempt, body: Buffer): string[] {
  const { trigger, target } = attempt;
  const timestampSeconds = Math.floor(attempt.startTimeMs / 1_000);
  const headers = [
    "content-type",
    "application/json",
    "user-agent",
    parts.userAgent,
    "webhook-id",
    trigger.id,
    "webhook-timestamp",
    String(timestampSeconds),
    "webhook-signature",
    signWebhook({ id: trigger.id, timestampSeconds, body }, attempt.keys),
    "idempotency-key",
    trigger.id,
    "easycron-attempt",
    String(attempt.number),
    "easycron-nominal-time",
    toIso(trigger.fireTimeMs),
    "traceparent",
    newTraceparent(),
  ];
  return target.headers.length === 0 ? headers : headers.concat(target.headers);
}

function send(
  agent: Dispatcher,
  options: Dispatcher.DispatchOptions,
  timeoutMs: number,
  resolve: (delivery: Delivery) => void,
): void {
  let controller: Dispatcher.DispatchController | undefined;
  let statusCode = 0;
  let headers: Readonly<Record<string, string | string[] | undefined>> = {};
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isSettled = false;

  const settle = (error?: unknown): void => {
    if (isSettled) return;
    isSettled = true;
    clearTimeout(timer);
    // A status has been received: that is the answer, whatever became of its body.
    if (statusCode >= 200) resolve(toDelivery({ statusCode, headers, body: Buffer.concat(chunks) }));
    else resolve(toFailure(error, { isWritten: controller !== undefined }));
  };
  const timer = setTimeout(() => {
    const reason = new WebhookTimeout(timeoutMs);
    settle(reason);
    controller?.abort(reason);
  }, timeoutMs);

  agent.dispatch(options, {
    onRequestStart: (given) => {
      // The time was up before there was a connection: nothing is to be written any more.
      if (isSettled) given.abort(new WebhookTimeout(timeoutMs));
      else controller = given;
    },
    onResponseStart: (_, status, given) => {
      // 1xx only announce an answer.
      if (status < 200) return;
      statusCode = status;
      headers = given;
    },
    onResponseData: (given, chunk) => {
      chunks.push(chunk.subarray(0, MAX_BODY_BYTES - bytes));
      bytes += chunk.length;
      if (bytes < MAX_BODY_BYTES) return;
      settle();
      given.abort(new Error("The rest of the answer is not wanted."));
    },
    onResponseEnd: () => settle(),
    onResponseError: (_, error) => settle(error),
  });
}
