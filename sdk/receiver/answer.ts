import type { Outcome } from "../idempotency/once.ts";
import { toResultText } from "../idempotency/result-text.ts";
import { WebhookVerificationError } from "../webhook-error.ts";
import { BodyError, RefuseTriggerError, TryAgainError } from "./receiver-error.ts";

/** The answer to a request. */
export interface ReceiverAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const EMPTY: ReceiverAnswer = { status: 204, headers: {}, body: "" };

/** The answer to a method other than POST. */
export const NOT_POST = toText(405, "Only POST is accepted.", { allow: "POST" });

/** Tells the sender not to try again. */
const FINAL = { "webhook-delivery": "abort-message" };

/** Returns the answer to a trigger that was handled, or is being handled by another attempt. */
export function toAnswer(outcome: Outcome<unknown>): ReceiverAnswer {
  if (outcome.kind === "IN_PROGRESS") {
    return toText(409, "Another attempt is in progress.", retryAfter(outcome.retryAfterMs));
  }
  const replayed: Record<string, string> =
    outcome.kind === "ALREADY_DONE" ? { "idempotent-replayed": "true" } : {};
  const { text, problem } = toResultText(outcome.value);
  if (problem !== undefined) throw problem;
  if (text === "") return { ...EMPTY, headers: replayed };
  return { status: 200, headers: { "content-type": "application/json", ...replayed }, body: text };
}

/** Returns the answer to a request that failed. Only messages that are meant for the sender are in it. */
export function toErrorAnswer(error: unknown): ReceiverAnswer {
  if (error instanceof RefuseTriggerError) return toText(error.status, error.message, FINAL);
  if (error instanceof TryAgainError) return toText(503, error.message, retryAfter(error.retryAfterMs));
  // The connection may have an unread rest of the body, so it cannot be used again.
  if (error instanceof BodyError) return toText(error.status, error.message, { connection: "close" });
  if (error instanceof WebhookVerificationError) {
    // A missing secret is the receiver's own mistake.
    const status = error.reason === "SECRET_MALFORMED" || error.reason === "BODY_NOT_RAW" ? 500 : 400;
    return toText(status, `${error.reason}: ${error.message}`);
  }
  return toText(500, "The receiver failed; its log says why.");
}

function retryAfter(ms: number | undefined): Record<string, string> {
  return ms === undefined ? {} : { "retry-after": String(Math.max(1, Math.ceil(ms / 1_000))) };
}

function toText(status: number, text: string, headers: Record<string, string> = {}): ReceiverAnswer {
  return { status, headers: { "content-type": "text/plain; charset=utf-8", ...headers }, body: `${text}\n` };
}
