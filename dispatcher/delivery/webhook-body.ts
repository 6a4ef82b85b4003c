import { type BodyTemplate, fillBody } from "../../mesh/body-template.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";

/**
 * Returns the JSON document of one attempt (docs/webhook.md). The payload is JSON text and is inserted unchanged,
 * because parsing and printing it again would cost more than all the rest. Ids and names consist of characters that
 * need no escaping in JSON.
 */
export function toWebhookBody(trigger: HeldTrigger, attempt: number, payload: string): string {
  const nominal = toIso(trigger.fireTimeMs);
  return (
    `{"type":"trigger.fired","timestamp":"${nominal}","data":{"trigger":"${trigger.id}","kind":"${trigger.kind}",` +
    `"project":"${trigger.projectId}","job":{"name":"${trigger.jobName}","uid":"${trigger.jobUid}",` +
    `"revision":${trigger.revision}},"nominalTime":"${nominal}","effectiveTime":"${toIso(trigger.effectiveTimeMs)}",` +
    `"seq":${trigger.seq},"previousNominalTime":${toIsoOrNull(trigger.previousFireTimeMs)},` +
    `"nextNominalTime":${toIsoOrNull(trigger.nextFireTimeMs)},"previousVerdict":` +
    `{"skipped":${trigger.previousSkipped},"missed":${trigger.previousMissed}},` +
    `"attempt":${attempt},"payload":${payload}}}`
  );
}

/** Returns the customer's own body of one attempt. `payload` is JSON text. */
export function toOwnBody(
  template: BodyTemplate,
  trigger: HeldTrigger,
  attempt: number,
  payload: string,
): string {
  return fillBody(template, {
    trigger: trigger.id,
    job: trigger.jobName,
    nominalTime: toIso(trigger.fireTimeMs),
    attempt: String(attempt),
    payload,
  });
}

function toIsoOrNull(ms: number | null): string {
  return ms === null ? "null" : `"${toIso(ms)}"`;
}
