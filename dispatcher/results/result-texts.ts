import type { Delivery } from "../delivery/outcome.ts";
import { toTimingText } from "../delivery/timing-text.ts";
import type { Result } from "./result.ts";

/** Writes a JSON object with what pauses jobs, by trigger id. Results that pause none are not in it. */
export function toPauses(batch: readonly Result[]): string {
  const members: string[] = [];
  for (const { trigger, delivery } of batch) {
    const { outcome } = delivery;
    if ("pauses" in outcome) members.push(`"${trigger.id}":"${outcome.pauses}"`);
  }
  return `{${members.join(",")}}`;
}

/** Writes the timing of an attempt as it is stored; null if it is not known. */
export function toStoredTiming({ timing }: Delivery): string | null {
  return timing === undefined ? null : toTimingText(timing);
}

/** Writes the headers that are kept of an answer, as JSON; null if there are none. */
export function toStoredHeaders({ responseHeaders }: Delivery): string | null {
  return responseHeaders === undefined ? null : JSON.stringify(responseHeaders);
}
