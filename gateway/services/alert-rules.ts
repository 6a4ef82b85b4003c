import { AlertEvent, type Alerts } from "../../gen/easycron/v1/alert_pb.ts";
import type { WebhookTarget } from "../../gen/easycron/v1/target_pb.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";

/** Checks a webhook target; `at` is the path of its field. */
export type CheckWebhook = (webhook: WebhookTarget, at: string) => EasyCronError[];

/** The fields of a webhook that its target may not set in alerts, and why. */
const REFUSED = [
  ["auth", "EasyCron proves by the signature who sends an alert; leave it out."],
  ["secretHeaders", "EasyCron proves by the signature who sends an alert; leave them out."],
  ["body", "An alert has a document of its own; leave it out."],
  ["contentType", "An alert is always application/json; leave it out."],
  ["successStatusCodes", "A status from 200 to 299 is a success of an alert; leave them out."],
] as const;

/**
 * Checks what the proto's rules of alerts cannot say: that the target is a plain webhook which may be called, and that
 * `deliveredWithin` and ALERT_EVENT_NOT_DELIVERED come together. `of` is the path of the job or project that has them.
 * Returns FIELD_INVALID, URL_INVALID, TARGET_FORBIDDEN or HEADER_RESERVED for each thing that is wrong.
 */
export function alertErrors(
  alerts: Alerts | undefined,
  check: CheckWebhook,
  of: "job" | "project" = "job",
): EasyCronError[] {
  if (alerts === undefined) return [];
  return [...targetErrors(alerts, check, `${of}.alerts.target`), ...withinErrors(alerts, of)];
}

function targetErrors({ target }: Alerts, check: CheckWebhook, at: string): EasyCronError[] {
  if (target === undefined) {
    const problem = "It is required; accepted: an object with webhook. To have no alerts, leave out alerts.";
    return [fieldFailure("FIELD_INVALID", at, problem)];
  }
  const { kind } = target;
  if (kind.case !== "webhook") {
    const problem = `Alerts go to a webhook only; it is ${kind.case ?? "empty"}. Set ${at}.webhook.`;
    return [fieldFailure("FIELD_INVALID", kind.case === undefined ? at : `${at}.${kind.case}`, problem)];
  }
  const webhook = kind.value;
  const set = REFUSED.filter(([field]) => isSet(webhook[field]));
  const refused = set.map(([field, problem]) =>
    fieldFailure("FIELD_INVALID", `${at}.webhook.${field}`, problem),
  );
  return set.length > 0 ? refused : check(webhook, `${at}.webhook`);
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === "") return false;
  return typeof value !== "object" || value === null || Object.keys(value).length > 0;
}

function withinErrors({ events, deliveredWithin }: Alerts, of: string): EasyCronError[] {
  const isListed = events.includes(AlertEvent.NOT_DELIVERED);
  const error = (problem: string) => [fieldFailure("FIELD_INVALID", `${of}.alerts.deliveredWithin`, problem)];
  if (isListed && deliveredWithin === undefined)
    return error('It is required with ALERT_EVENT_NOT_DELIVERED; set it, such as to "300s".');
  if (!isListed && events.length > 0 && deliveredWithin !== undefined)
    return error("It has an effect with ALERT_EVENT_NOT_DELIVERED only; add that event, or leave it out.");
  return [];
}
