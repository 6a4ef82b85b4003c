import type { KeyObject } from "node:crypto";
import type { Dispatcher } from "undici";
import { connectTimesOf } from "../../mesh/egress.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { UNTRACED } from "../../mesh/trigger-tracer.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import type { ConnectionWatch, OutgoingRequest } from "./connection-watch.ts";
import { findConnectFailed, isConnectionClosed } from "./error-causes.ts";
import { isUnanswered } from "./idle-connections.ts";
import type { AnswerHeaders } from "./kept-headers.ts";
import type { AttemptTiming, Delivery } from "./outcome.ts";
import { signWebhook } from "./signature.ts";
import type { Spec, SpecTarget, StatusRange } from "./spec.ts";
import { toDelivery, toFailure } from "./webhook-answer.ts";
import { toOwnBody, toWebhookBody } from "./webhook-body.ts";
import { WebhookTimeout } from "./webhook-timeout.ts";

/** One attempt to deliver a webhook. */
export interface WebhookAttempt {
  readonly trigger: HeldTrigger;
  /** 1 for the first. */
  readonly number: number;
  readonly spec: Spec;
  readonly target: SpecTarget & { readonly kind: "webhook" };
  /** Signing keys: at least one, newest first. */
  readonly keys: readonly KeyObject[];
  /** The headers with secrets as a flat list, if the target has any. */
  readonly secretHeaders?: readonly string[] | undefined;
  /** Epoch milliseconds of its start. */
  readonly startTimeMs: number;
}

/** What sending webhooks needs. */
export interface WebhookParts {
  /** Reuses connections. */
  readonly agent: Dispatcher;
  /** Opens a new connection for each request. */
  readonly freshAgent: Dispatcher;
  readonly connections: ConnectionWatch;
  readonly userAgent: string;
  /** Returns the traceparent of an attempt. Default: that of a process whose spans nobody gets. */
  readonly traceparentOf?: (triggerId: string, attempt: number) => string;
  /** The longest pause within an answer's body, in milliseconds. Default: 10,000. */
  readonly bodyIdleMs?: number;
}

/**
 * The longest pause within an answer's body. The status is the answer, so an attempt with a body that stands still has
 * nothing to wait for. undici's timer for it may be half a second late.
 */
const BODY_IDLE_MS = 10_000;

/** Most bytes of an answer's body that are read. */
export const MAX_BODY_BYTES = 16 * 1024;

/**
 * Makes one attempt: sends a signed request and reads the answer. Does not follow redirects. From connecting to the end
 * of the answer, it takes at most the attempt timeout of the specification. Never throws for what the endpoint does.
 *
 * A server may close an idle connection at the moment when the next request is written to it. If a reused connection
 * closes before any byte of the answer, the same request is sent once more, on a new connection, as a part of this
 * attempt. RFC 9110, section 9.2.2, allows this for a request that is known to be idempotent; this one carries an
 * idempotency key.
 *
 * It uses undici's `dispatch` and not `request` for two reasons: `dispatch` tells when the request is written, which
 * separates NOT_SENT from UNKNOWN, and a time limit can end it while it still connects. With its time limit, it takes
 * 24 µs of CPU; `request` with AbortSignal.timeout takes 33 µs.
 */
export function deliverWebhook(parts: WebhookParts, attempt: WebhookAttempt): Promise<Delivery> {
  const { spec, target, trigger, number } = attempt;
  const payload = trigger.payload ?? spec.payload;
  const body = Buffer.from(
    target.body === undefined
      ? toWebhookBody(trigger, number, payload)
      : toOwnBody(target.body, trigger, number, payload),
  );
  const options: Dispatcher.DispatchOptions = {
    origin: target.origin,
    path: target.path,
    method: target.method,
    headers: toHeaders(parts, attempt, body),
    body,
    // An endpoint may work for as long as the attempt may take before it answers; `send` sets that limit.
    headersTimeout: 0,
    bodyTimeout: parts.bodyIdleMs ?? BODY_IDLE_MS,
  };
  const startedMs = performance.now();
  const now = () => Math.round(attempt.startTimeMs + performance.now() - startedMs);
  return new Promise((resolve) =>
    send({ ...parts, now, success: target.successStatuses }, options, spec.attemptTimeoutMs, resolve),
  );
}

function toHeaders(parts: WebhookParts, attempt: WebhookAttempt, body: Buffer): string[] {
  const { trigger, target } = attempt;
  const timestampSeconds = Math.floor(attempt.startTimeMs / 1_000);
  const headers = [
    "content-type",
    target.contentType ?? "application/json",
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
    (parts.traceparentOf ?? UNTRACED.traceparentOf)(trigger.id, attempt.number),
  ];
  if (attempt.secretHeaders !== undefined) headers.push(...attempt.secretHeaders);
  return target.headers.length === 0 ? headers : headers.concat(target.headers);
}

function send(
  {
    agent,
    freshAgent,
    connections,
    now,
    success,
  }: WebhookParts & { readonly now: () => number; readonly success: readonly StatusRange[] | undefined },
  options: Dispatcher.DispatchOptions,
  timeoutMs: number,
  resolve: (delivery: Delivery) => void,
): void {
  let controller: Dispatcher.DispatchController | undefined;
  const { origin } = options;
  const outgoing: OutgoingRequest = { origin: String(origin), connection: undefined };
  let isWritten = false;
  let statusCode = 0;
  let headers: AnswerHeaders = {};
  let writtenAtMs = 0;
  let headAtMs = 0;
  const chunks: Buffer[] = [];
  let bytes = 0;
  let isDone = false;

  const finish = (error?: unknown): void => {
    if (isDone) return;
    isDone = true;
    clearTimeout(timer);
    // Once a status is received, it is the answer, even if the body was not received completely.
    if (statusCode >= 200) {
      const timing = toTiming(outgoing, Math.round(headAtMs - writtenAtMs), error);
      resolve(toDelivery({ statusCode, headers, body: joined(chunks), timing }, now(), success));
    } else resolve(toFailure(error, { isWritten, timing: toTiming(outgoing, undefined, error) }));
  };
  const timer = setTimeout(() => {
    const reason = new WebhookTimeout(timeoutMs);
    finish(reason);
    controller?.abort(reason);
  }, timeoutMs);

  const sendOver = (by: Dispatcher, mayRepeat: boolean): void => {
    by.dispatch(options, {
      onRequestStart: (given) => {
        // The time limit was reached before there was a connection, so nothing must be written any more.
        if (isDone) return given.abort(new WebhookTimeout(timeoutMs));
        controller = given;
        isWritten = true;
        writtenAtMs = performance.now();
        connections.begin(outgoing);
      },
      onResponseStart: (_, status, given) => {
        // A 1xx status only announces an answer.
        if (status < 200) return;
        statusCode = status;
        headAtMs = performance.now();
        headers = given;
      },
      onResponseData: (given, chunk) => {
        chunks.push(chunk.subarray(0, MAX_BODY_BYTES - bytes));
        bytes += chunk.length;
        if (bytes < MAX_BODY_BYTES) return;
        finish();
        given.abort(new Error("The rest of the answer is not needed."));
      },
      onResponseEnd: () => {
        connections.end(outgoing);
        finish();
      },
      onResponseError: (_, error) => {
        const isRepeated = mayRepeat && !isDone && isClosedUnanswered(error, outgoing);
        if (isRepeated) sendOver(freshAgent, false);
        else finish(error);
      },
    });
  };
  sendOver(agent, true);
}

const NO_BODY = Buffer.alloc(0);

/** Most answers have no body, and most others come in one piece. */
function joined(chunks: readonly Buffer[]): Buffer {
  const [first = NO_BODY] = chunks;
  return chunks.length < 2 ? first : Buffer.concat(chunks);
}

/** Where the time went. Nothing is known of an attempt that was not sent, unless it failed while connecting. */
function toTiming(
  { connection }: OutgoingRequest,
  firstByteMs: number | undefined,
  error: unknown,
): AttemptTiming | undefined {
  if (connection === undefined) {
    const failed = findConnectFailed(error);
    return failed === undefined ? undefined : { isReused: false, ...failed.times };
  }
  if (connection.requests > 1) return { isReused: true, firstByteMs };
  return { isReused: false, firstByteMs, ...connectTimesOf(connection.socket) };
}

/** Whether a reused connection has closed before any byte of the answer was received. */
function isClosedUnanswered(error: unknown, { connection }: OutgoingRequest): boolean {
  return connection !== undefined && isUnanswered(connection) && isConnectionClosed(error);
}
