import type { HeldTrigger } from "./held-trigger.ts";

/**
 * The document of one attempt (docs: the webhook). The payload is JSON text and put in as it is: parsing and printing
 * it anew costs more than all the rest. Ids and names are from alphabets that need no escaping in JSON.
 */
export function toWebhookBody(trigger: HeldTrigger, attempt: number, payload: string): string {
  const nominal = toIso(trigger.fireTimeMs);
  return (
    `{"type":"trigger.fired","timestamp":"${nominal}","data":{"trigger":"${trigger.id}","kind":"${trigger.kind}",` +
    `"project":"${trigger.projectId}","job":{"name":"${trigger.jobName}","uid":"${trigger.jobUid}",` +
    `"revision":${trigger.revision}},"nominalTime":"${nominal}","effectiveTime":"${toIso(trigger.effectiveTimeMs)}",` +
    `"seq":${trigger.seq},"previousNominalTime":${toIsoOrNull(trigger.previousFireTimeMs)},` +
    `"nextNominalTime":${toIsoOrNull(trigger.nextFireTimeMs)},"previousVerdict":{"skipped":0,"missed":0},` +
    `"attempt":${attempt},"payload":${payload}}}`
  );
}

// The triggers of a burst share their times: a few remembered texts save most of the work.
const REMEMBERED = 64;
const texts = new Map<number, string>();

/** RFC 3339 in UTC with milliseconds. */
export function toIso(ms: number): string {
  const known = texts.get(ms);
  if (known !== undefined) return known;
  const text = new Date(ms).toISOString();
  if (texts.size >= REMEMBERED) texts.clear();
  texts.set(ms, text);
  return text;
}

function toIsoOrNull(ms: number | null): string {
  return ms === null ? "null" : `"${toIso(ms)}"`;
}
