import { createHmac } from "node:crypto";
import { toDate } from "../instant.ts";
import type { TriggerFired } from "../trigger-fired.ts";
import { triggerId } from "../trigger-id.ts";

/** The secret with which triggers are signed if no other is given. Use it in tests only. */
export const TEST_SECRET = "whsec_dGhpcyBzZWNyZXQgaXMgZm9yIHRlc3RzIG9ubHkuLi4=";

/** What of a signed trigger can be chosen: every field of the document, and how it is signed. */
export interface SignTriggerOptions extends Partial<Omit<TriggerFired, "job">> {
  /** The job. A text is its name. */
  readonly job?: string | Partial<TriggerFired["job"]> | undefined;
  /** The signing secret. Default: TEST_SECRET. */
  readonly secret?: string | undefined;
  /** When the attempt is sent. Default: now. */
  readonly now?: Date | undefined;
}

/** A trigger, signed as EasyCron signs it. */
export interface SignedTrigger {
  /** The id of the trigger. */
  readonly id: string;
  /** The `data` of the document. */
  readonly trigger: TriggerFired;
  /** The headers of the request. */
  readonly headers: { readonly [name: string]: string };
  /** The body of the request. */
  readonly body: string;
  /** Makes a web-standard request of it. Default URL: http://localhost/. */
  request(url?: string): Request;
}

/**
 * Makes a trigger as EasyCron would send it, for tests: `signTrigger({ job: "payroll", payload: { company: 42 } })`. It
 * is the first attempt of the first trigger of its job, due at the last full minute, unless you say otherwise. The id
 * is that of the job and the nominal time.
 *
 * @example
 * ```ts
 * const secret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
 * const { headers, body } = signTrigger({ secret, job: "payroll", payload: { company: 42 } });
 * console.log(verify(body, headers, secret).trigger?.payload);
 * ```
 */
export function signTrigger(options: SignTriggerOptions = {}): SignedTrigger {
  const { secret = TEST_SECRET, now = new Date(), job, ...given } = options;
  const trigger = toTrigger(given, job, now);
  const { trigger: id, nominalTime, attempt } = trigger;
  const body = JSON.stringify({ type: "trigger.fired", timestamp: nominalTime, data: trigger });
  const timestamp = String(Math.floor(now.getTime() / 1_000));
  const headers = {
    "content-type": "application/json",
    "user-agent": "EasyCron/test",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": sign(secret, `${id}.${timestamp}.${body}`),
    "idempotency-key": id,
    "easycron-attempt": String(attempt),
    "easycron-nominal-time": nominalTime,
  };
  const request = (url = "http://localhost/") => new Request(url, { method: "POST", headers, body });
  return { id, trigger, headers, body, request };
}

function toTrigger(
  given: Partial<Omit<TriggerFired, "job">>,
  job: SignTriggerOptions["job"],
  now: Date,
): TriggerFired {
  const own = typeof job === "string" ? { name: job } : job;
  const whole = { name: "test-job", uid: "job_01jz0000000000000000000000", revision: 1, ...own };
  const lastMinute = new Date(Math.floor(now.getTime() / 60_000) * 60_000);
  const nominalTime = toDate(given.nominalTime ?? lastMinute).toISOString();
  // In the order of EasyCron's own document.
  const trigger = {
    trigger: given.trigger ?? triggerId({ jobUid: whole.uid, nominalTime }),
    kind: given.kind ?? "SCHEDULED",
    project: given.project ?? "proj_01jz0000000000000000000000",
    job: whole,
    nominalTime,
    effectiveTime: given.effectiveTime ?? nominalTime,
    seq: given.seq ?? 1,
    previousNominalTime: given.previousNominalTime ?? null,
    nextNominalTime: new Date(Date.parse(nominalTime) + 60_000).toISOString(),
    previousVerdict: { skipped: 0, missed: 0 },
    attempt: 1,
    payload: null,
    ...given,
  };
  // As EasyCron writes it, not as it was given.
  return { ...trigger, nominalTime };
}

function sign(secret: string, text: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  return `v1,${createHmac("sha256", key).update(text).digest("base64")}`;
}
