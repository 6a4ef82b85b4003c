import { toPlainArray } from "../../db/array.ts";
import { toSqlTime } from "../../db/time.ts";
import type { HeldTrigger } from "./held-trigger.ts";

/** Returns the ids and the range of nominal times. With the range, PostgreSQL reads only the partitions concerned. */
export function toNames(triggers: readonly HeldTrigger[]): [string, string, string] {
  let firstMs = Number.POSITIVE_INFINITY;
  let lastMs = Number.NEGATIVE_INFINITY;
  const ids: string[] = [];
  for (const { id, fireTimeMs } of triggers) {
    ids.push(id);
    if (fireTimeMs < firstMs) firstMs = fireTimeMs;
    if (fireTimeMs > lastMs) lastMs = fireTimeMs;
  }
  return [toPlainArray(ids), toSqlTime(firstMs), toSqlTime(lastMs)];
}

/** Writes a JSON object with the revision, seq and attempt base of each trigger. */
export function toForms(triggers: readonly HeldTrigger[]): string {
  return `{${triggers.map((trigger) => `"${trigger.id}":"${toForm(trigger)}"`).join(",")}}`;
}

/** Writes the same with the number of attempts besides. */
export function toStarts(triggers: readonly HeldTrigger[]): string {
  return `{${triggers.map((trigger) => `"${trigger.id}":"${toForm(trigger)}/${trigger.attemptCount}"`).join(",")}}`;
}

function toForm({ revision, seq, attemptBase }: HeldTrigger): string {
  return `${revision}/${seq}/${attemptBase}`;
}
