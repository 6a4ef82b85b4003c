import { toPlainArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import type { HeldTrigger } from "../waiting/held-trigger.ts";
import { triggerCountEarlier } from "./ordering.sql.ts";

/**
 * Counts, by id, the unended triggers of the same job that come before each of these triggers; at most 50. A trigger that
 * has ended is not in the answer.
 *
 * PostgreSQL is asked each time, and nothing is kept in memory, so the order survives kills and takeovers: whichever
 * dispatcher holds a trigger finds the earlier ones of all dispatchers. A trigger that is recorded later, although its
 * nominal time is earlier, does not call back one that has started. Throws SERVICE_UNAVAILABLE.
 */
export async function readEarlier(
  database: Database,
  triggers: readonly HeldTrigger[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await database.query(triggerCountEarlier, [toPlainArray(triggers.map(({ id }) => id))]);
  return new Map(rows.map(({ id, earlier }) => [id, earlier]));
}

/** Triggers of one job in the order in which they are delivered. */
type Line = readonly [first: HeldTrigger, ...others: HeldTrigger[]];

/** Groups triggers by their jobs. Each job's are ordered by nominal time, and by id if two are equal. */
export function toLines(triggers: readonly HeldTrigger[]): readonly Line[] {
  const lines = new Map<string, [HeldTrigger, ...HeldTrigger[]]>();
  for (const trigger of triggers) {
    const line = lines.get(trigger.jobUid);
    if (line === undefined) lines.set(trigger.jobUid, [trigger]);
    else line.push(trigger);
  }
  for (const line of lines.values()) line.sort(compare);
  return [...lines.values()];
}

function compare(one: HeldTrigger, other: HeldTrigger): number {
  return one.fireTimeMs - other.fireTimeMs || (one.id < other.id ? -1 : 1);
}
