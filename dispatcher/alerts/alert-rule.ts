import { parseTarget, type SpecTarget } from "../delivery/spec.ts";

/** What an alert reports; the same words as in easycron.v1.AlertEvent. */
export const ALERT_EVENTS = [
  "EXHAUSTED",
  "MISSED",
  "FAILING",
  "DISABLED",
  "RECOVERED",
  "NOT_DELIVERED",
] as const;

/** What an alert reports. */
export type AlertEventName = (typeof ALERT_EVENTS)[number];

/** What is reported about a job, and where. */
export interface AlertRule {
  readonly target: SpecTarget & { readonly kind: "webhook" };
  readonly events: ReadonlySet<AlertEventName>;
  /** How long after its effective time a fire time must have succeeded; null for no limit. */
  readonly withinMs: number | null;
}

const PREFIX = "ALERT_EVENT_";

/**
 * Reads the alerts of a job's specification; undefined if it has none. A rule of the project may be read in its place, by
 * whoever calls this. Throws an error if the alerts cannot be read.
 */
export function readAlertRule(spec: string): AlertRule | undefined {
  const { alerts } = JSON.parse(spec) as { readonly alerts?: StoredAlerts };
  if (alerts === undefined) return undefined;
  const target = parseTarget(alerts.target);
  if (target.kind !== "webhook") throw new Error(`alerts.target must be a webhook; it is ${target.plugin}`);
  const names = (alerts.events ?? []).map((name) => name.slice(PREFIX.length));
  const withinMs = alerts.deliveredWithin === undefined ? null : toMs(alerts.deliveredWithin);
  const wanted = ALERT_EVENTS.filter((event) => names.length === 0 || names.includes(event));
  const events = new Set(wanted.filter((event) => event !== "NOT_DELIVERED" || withinMs !== null));
  return { target, events, withinMs };
}

/** The alerts of a specification as proto3 JSON. */
interface StoredAlerts {
  readonly target: unknown;
  readonly events?: readonly string[];
  readonly deliveredWithin?: string;
}

function toMs(duration: string): number {
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(duration)?.[1];
  if (seconds === undefined) throw new Error(`alerts.deliveredWithin must be seconds; it is ${duration}`);
  return Math.round(Number(seconds) * 1_000);
}
