import { STATUS_CODES } from "node:http";
import { explainBroken, explainUnsent } from "./failure-words.ts";
import { type AnswerHeaders, firstOf, keepHeaders, toShort } from "./kept-headers.ts";
import type { AttemptTiming, Delivery, Outcome, PauseCause } from "./outcome.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { StatusRange } from "./spec.ts";
import { WebhookTimeout } from "./webhook-timeout.ts";

/** The answer of an endpoint. */
export interface WebhookAnswer {
  readonly statusCode: number;
  /** Header values by lower-case name. */
  readonly headers: AnswerHeaders;
  /** The first 16 KiB. */
  readonly body: Buffer;
  readonly timing?: AttemptTiming | undefined;
}

/**
 * Converts an answer that came at `nowMs` to a delivery. A status in one of the `success` ranges is a success, or a 2xx if
 * there are no such ranges; every other status is not.
 */
export function toDelivery(answer: WebhookAnswer, nowMs: number, success?: readonly StatusRange[]): Delivery {
  const { statusCode, headers } = answer;
  const responseBody = toText(answer.body);
  const isSuccess =
    success === undefined
      ? statusCode < 300
      : success.some(([first, last]) => first <= statusCode && statusCode <= last);
  return {
    outcome: isSuccess ? toSucceeded(answer) : toRejected(answer, nowMs),
    error: isSuccess ? "" : explainStatus(answer, success),
    responseBody,
    timing: answer.timing,
    responseHeaders: keepHeaders(headers, isSuccess),
  };
}

function toSucceeded({ statusCode, headers }: WebhookAnswer): Outcome {
  if (wantsNoMore(headers)) return { kind: "SUCCEEDED", statusCode, pauses: "RECEIVER" };
  return { kind: "SUCCEEDED", statusCode };
}

function toRejected({ statusCode, headers }: WebhookAnswer, nowMs: number): Outcome {
  // 409 is what a receiver answers to a copy that comes while the first one is still at work.
  const isBusy = statusCode === 409 || statusCode === 429 || statusCode >= 500;
  const pauses = pauseCauseOf(statusCode, headers);
  return {
    kind: "REJECTED",
    statusCode,
    isFinal: pauses !== undefined || firstOf(headers["webhook-delivery"]) === "abort-message",
    ...(pauses === undefined ? {} : { pauses }),
    retryAfterMs: isBusy ? parseRetryAfter(firstOf(headers["retry-after"]), nowMs) : undefined,
  };
}

function pauseCauseOf(statusCode: number, headers: WebhookAnswer["headers"]): PauseCause | undefined {
  if (statusCode === 410) return "GONE";
  return wantsNoMore(headers) ? "RECEIVER" : undefined;
}

function wantsNoMore(headers: WebhookAnswer["headers"]): boolean {
  return firstOf(headers["webhook-delivery"]) === "disable";
}

function explainStatus({ statusCode, headers }: WebhookAnswer, success?: readonly StatusRange[]): string {
  const name = STATUS_CODES[statusCode];
  const answer = `The endpoint answered ${statusCode}${name === undefined ? "" : ` ${name}`}`;
  if (REDIRECTS.has(statusCode)) {
    const location = firstOf(headers.location);
    const to = location === undefined ? "" : ` with Location ${toShort(location)}`;
    return `${answer}${to}; redirects are not followed. Use the final URL.`;
  }
  if (statusCode >= 400) return `${answer}.`;
  const wanted = success === undefined ? "from 200 to 299" : "in the target's successStatusCodes";
  return `${answer}; only a status ${wanted} is a success.`;
}

/** The statuses that name another URL (RFC 9110, section 15.4). A 304 does not: it means "not modified". */
const REDIRECTS: ReadonlySet<number> = new Set([300, 301, 302, 303, 307, 308]);

// PostgreSQL's text type cannot hold U+0000.
function toText(bytes: Buffer): string {
  return bytes.length === 0 ? "" : bytes.toString("utf8").replaceAll("\0", "\ufffd");
}

/**
 * Converts the error of a request without an answer to a delivery. If the request was never written, nothing reached
 * the receiver (NOT_SENT); otherwise it may have (UNKNOWN).
 */
export function toFailure(
  error: unknown,
  { isWritten, timing }: { readonly isWritten: boolean; readonly timing?: AttemptTiming | undefined },
): Delivery {
  const kind = isWritten ? "UNKNOWN" : "NOT_SENT";
  const words = isWritten ? explainBroken(error) : explainUnsent(error);
  const outcome: Outcome = error instanceof WebhookTimeout ? { kind, isTimeout: true } : { kind };
  return { outcome, error: words, responseBody: "", timing, cause: error };
}
