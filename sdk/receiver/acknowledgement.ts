import { type Clock, systemClock } from "../clock.ts";
import type { WebhookHeaders } from "../webhook-request.ts";
import { AcknowledgementError } from "./acknowledgement-error.ts";

/** What became of an acknowledgement. */
export interface AcknowledgementAnswer {
  /** The state of the trigger now: SUCCEEDED, RETRYING, …. */
  readonly state: string;
  /** Whether the acknowledgement came too late to count. */
  readonly isLate: boolean;
  /** What happened instead, in words; empty if the acknowledgement counts. */
  readonly explanation: string;
}

/**
 * Acknowledges one attempt. Each method throws an AcknowledgementError if the answer does not come, or is a refusal. Of a
 * message the first 1,000 characters are sent.
 */
export interface Acknowledgement {
  /** The URL to which it is sent. It has a secret in it. Give it to whoever does the work, for `acknowledgement(url)`. */
  readonly url: string;
  /** The work is done: the trigger becomes SUCCEEDED. */
  readonly succeed: (message?: string) => Promise<AcknowledgementAnswer>;
  /** The work has failed: the trigger is tried again, as the job's retry policy says. */
  readonly fail: (message?: string) => Promise<AcknowledgementAnswer>;
  /** The work goes on: the trigger waits for at least so many milliseconds from now; 1,000 to 604,800,000 (7 days). */
  readonly extend: (byMs: number, message?: string) => Promise<AcknowledgementAnswer>;
}

/** Settings of `acknowledgement`. */
export interface AcknowledgementOptions {
  /** How long one request may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number | undefined;
  /** How often a request is repeated that was not answered, or with 429 or 5xx. Default 5. */
  readonly maxRetries?: number | undefined;
  /** Default: the system's clock. */
  readonly clock?: Clock | undefined;
}

/**
 * Makes the acknowledgement of an attempt from its URL, which came in the header `easycron-ack-url`. It needs no API key, so
 * any process can acknowledge: `await acknowledgement(url).succeed()`. Throws a TypeError for what is no such URL.
 *
 * @example
 * ```ts
 * const url = "https://api.example.com/acknowledge/trg_h8y7dk7ek4fs5qrt3mqt9ek1v4/ack_proj_01h455.1.Ca7VyP";
 * const { succeed, fail } = acknowledgement(url);
 * const finish = async (rows: number) => (rows > 0 ? succeed(`${rows} rows`) : fail("no rows"));
 * console.log(typeof finish);
 * ```
 */
export function acknowledgement(url: string, options: AcknowledgementOptions = {}): Acknowledgement {
  if (!isWebUrl(url)) {
    throw new TypeError("The URL of an acknowledgement must begin with https:// or http://.");
  }
  const send = (fields: { readonly outcome: string; readonly message: string; readonly extendBy?: string }) =>
    post(url, JSON.stringify({ ...fields, message: toSendable(fields.message) }), options);
  return {
    url,
    succeed: (message = "") => send({ outcome: "ACKNOWLEDGEMENT_SUCCEEDED", message }),
    fail: (message = "") => send({ outcome: "ACKNOWLEDGEMENT_FAILED", message }),
    extend: (byMs, message = "") =>
      send({ outcome: "ACKNOWLEDGEMENT_EXTENDED", message, extendBy: `${Math.ceil(byMs) / 1_000}s` }),
  };
}

const MAX_MESSAGE_LENGTH = 1_000;

/** Cuts a message, because EasyCron refuses an acknowledgement with a longer one, and the outcome would be lost with it. */
function toSendable(message: string): string {
  // A cut in the middle of a surrogate pair leaves a half that is no character.
  return message.slice(0, MAX_MESSAGE_LENGTH).replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Whether a text is a URL that begins with https:// or http://. */
export function isWebUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/**
 * Makes the acknowledgement of a webhook from its headers; undefined if its job wants none. With `apiUrl`, it is sent there,
 * and the URL in the headers, which is not signed, is ignored.
 */
export function acknowledgementOf(
  headers: WebhookHeaders,
  id: string,
  { apiUrl, ...options }: AcknowledgementOptions & { readonly apiUrl?: string | undefined },
): Acknowledgement | undefined {
  const token = headerOf(headers, "easycron-ack-token");
  if (token === undefined) return undefined;
  const url =
    apiUrl === undefined
      ? headerOf(headers, "easycron-ack-url")
      : `${apiUrl.replace(/\/+$/, "")}/acknowledge/${encodeURIComponent(id)}/${encodeURIComponent(token)}`;
  return url === undefined || !isWebUrl(url) ? undefined : acknowledgement(url, options);
}

function headerOf(headers: WebhookHeaders, name: string): string | undefined {
  if (typeof headers.get === "function") return headers.get(name) ?? undefined;
  const found = Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  const value = Array.isArray(found) ? found[0] : found;
  return typeof value === "string" ? value : undefined;
}

const FIRST_PAUSE_MS = 200;

async function post(
  url: string,
  body: string,
  { timeoutMs = 10_000, maxRetries = 5, clock = systemClock }: AcknowledgementOptions,
): Promise<AcknowledgementAnswer> {
  for (let retries = 0; ; retries++) {
    const answer = await tryOnce(url, body, timeoutMs);
    if (!(answer instanceof AcknowledgementError)) return answer;
    const { status } = answer;
    const isCurable = status === undefined || status === 429 || status >= 500;
    if (!isCurable || retries >= maxRetries) throw answer;
    await new Promise<void>((resolve) => void clock.after(FIRST_PAUSE_MS * 2 ** retries, resolve));
  }
}

async function tryOnce(
  url: string,
  body: string,
  timeoutMs: number,
): Promise<AcknowledgementAnswer | AcknowledgementError> {
  const headers = { "content-type": "application/json" };
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { method: "POST", headers, body, signal, redirect: "error" });
    const { status } = response;
    const answer = toAnswer(await response.text());
    if (answer === undefined)
      return new AcknowledgementError(`The answer with status ${status} is not JSON; check the URL.`, {
        status,
      });
    if (!response.ok) return new AcknowledgementError(String(answer.message ?? ""), { status });
    const state = String(answer.trigger?.state ?? "").replace("TRIGGER_STATE_", "");
    return { state, isLate: answer.isLate === true, explanation: String(answer.explanation ?? "") };
  } catch (cause) {
    return new AcknowledgementError("EasyCron did not answer.", { cause });
  }
}

/** Returns the answer; undefined if the text is no JSON object, because something else than EasyCron answered. */
function toAnswer(text: string): Answer | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}

interface Answer {
  readonly message?: string;
  readonly trigger?: { readonly state?: string };
  readonly isLate?: boolean;
  readonly explanation?: string;
}
