import { STATUS_CODES } from "node:http";
import { errors } from "undici";
import { EgressBlocked } from "../../mesh/egress.ts";
import type { Delivery, Outcome, PauseCause } from "./outcome.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { StatusRange } from "./spec.ts";

/** The attempt reached its time limit. */
export class WebhookTimeout extends Error {
  override readonly name = "WebhookTimeout";
  readonly timeoutMs: number;

  constructor(timeoutMs: number) {
    super(`No complete answer within ${timeoutMs / 1_000} s.`);
    this.timeoutMs = timeoutMs;
  }
}

/** The answer of an endpoint. */
export interface WebhookAnswer {
  readonly statusCode: number;
  /** Header values by lower-case name. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The first 16 KiB. */
  readonly body: Buffer;
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
  if (isSuccess) {
    const pauses = wantsNoMore(headers) ? { pauses: "RECEIVER" as const } : {};
    return { outcome: { kind: "SUCCEEDED", statusCode, ...pauses }, error: "", responseBody };
  }
  return { outcome: toRejected(answer, nowMs), error: explainStatus(answer, success), responseBody };
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

function firstOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
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

/** Most characters of a header that an error text quotes. */
const MAX_QUOTED = 500;

// What is not printable ASCII is replaced, because the text goes to PostgreSQL and to customers' terminals.
function toShort(header: string): string {
  const text = header.replaceAll(/[^\x20-\x7e]/g, "?");
  return text.length <= MAX_QUOTED ? text : `${text.slice(0, MAX_QUOTED)}…`;
}

/** The statuses that name another URL (RFC 9110, section 15.4). A 304 does not: it means "not modified". */
const REDIRECTS: ReadonlySet<number> = new Set([300, 301, 302, 303, 307, 308]);

// PostgreSQL's text type cannot hold U+0000.
function toText(bytes: Buffer): string {
  return bytes.length === 0 ? "" : bytes.toString("utf8").replaceAll("\0", "\ufffd");
}

/**
 * Converts the error of a request without an answer to a delivery. If the request was never written, nothing reached
 * the receiver (NOT_SENT); otherwise it may have (UNKNOWN). The text for the customer is chosen by the class and code
 * of the error, because its message may contain an internal address.
 */
export function toFailure(error: unknown, { isWritten }: { readonly isWritten: boolean }): Delivery {
  const kind = isWritten ? "UNKNOWN" : "NOT_SENT";
  const words = isWritten ? explainBroken(error) : explainUnsent(error);
  const outcome: Outcome = error instanceof WebhookTimeout ? { kind, isTimeout: true } : { kind };
  return { outcome, error: words, responseBody: "", cause: error };
}

function explainBroken(error: unknown): string {
  if (error instanceof WebhookTimeout) {
    return `No complete answer within ${error.timeoutMs / 1_000} s; the request may have arrived.`;
  }
  const code = codeOf(error);
  if (error instanceof errors.HTTPParserError) return "The answer is not HTTP; the request may have arrived.";
  if (code === "UND_ERR_HEADERS_OVERFLOW")
    return "The headers of the answer are too large; the request may have arrived.";
  return "The connection was closed before the answer; the request may have arrived.";
}

function explainUnsent(error: unknown): string {
  if (error instanceof WebhookTimeout) return `No connection within ${error.timeoutMs / 1_000} s.`;
  const blocked = findCause(error, (cause) => cause instanceof EgressBlocked);
  if (blocked !== undefined)
    return "The address of this host is not public; use a URL with a public address.";
  const code = codeOf(error);
  const known = UNSENT.get(code);
  if (known !== undefined) return known;
  if (TLS.test(code)) return `TLS failed: ${code}.`;
  return "No connection could be made.";
}

const UNSENT: ReadonlyMap<string, string> = new Map([
  [
    "UND_ERR_INVALID_ARG",
    "The request cannot be sent as it is specified; check the target's URL and headers.",
  ],
  ["ENOTFOUND", "The host name has no address."],
  ["ENODATA", "The host name has no address."],
  ["ESERVFAIL", "The name servers of the host's domain reported a failure."],
  ["ETIMEOUT", "The name servers of the host's domain do not answer."],
  ["EAI_AGAIN", "The name servers of the host's domain do not answer."],
  ["ECONNREFUSED", "The connection was refused."],
  ["ECONNRESET", "The connection was closed before the request was sent."],
  ["UND_ERR_SOCKET", "The connection was closed before the request was sent."],
  ["ETIMEDOUT", "The connection could not be made in time."],
  ["UND_ERR_CONNECT_TIMEOUT", "The connection could not be made in time."],
  ["EHOSTUNREACH", "The host cannot be reached."],
  ["ENETUNREACH", "The host cannot be reached."],
]);

/** Whether an error of undici or of a socket says that the other side has closed the connection. */
export function isConnectionClosed(error: unknown): boolean {
  return CLOSED.has(codeOf(error));
}

const CLOSED: ReadonlySet<string> = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

const TLS =
  /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO)/;

function codeOf(error: unknown): string {
  let code = "";
  findCause(error, (cause) => {
    const found = (cause as { code?: unknown } | undefined)?.code;
    if (typeof found === "string") code = found;
    return code !== "";
  });
  return code;
}

/**
 * Searches an error, its causes and the errors of an AggregateError, at most ten levels deep. Returns the first that
 * `matches`; undefined when none does.
 */
function findCause(error: unknown, matches: (cause: unknown) => boolean, depth = 10): unknown {
  if (error === undefined || error === null || depth === 0) return undefined;
  if (matches(error)) return error;
  if (error instanceof AggregateError) {
    for (const part of error.errors) {
      const found = findCause(part, matches, depth - 1);
      if (found !== undefined) return found;
    }
  }
  return error instanceof Error ? findCause(error.cause, matches, depth - 1) : undefined;
}
