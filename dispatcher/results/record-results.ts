import { toPlainArray, toTimeArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Delivery } from "../delivery/outcome.ts";
import type { Result } from "./result.ts";
import { resultRecord } from "./results.sql.ts";

/**
 * Records results in one statement. Returns the new state of each trigger that was changed, by id; a trigger that its
 * result no longer concerns is not among them. Recording the same results twice changes nothing. Throws
 * SERVICE_UNAVAILABLE.
 */
export async function recordResults(
  database: Database,
  batch: readonly Result[],
): Promise<ReadonlyMap<string, string>> {
  const fireTimes = batch.map(({ trigger }) => trigger.fireTimeMs);
  const rows = await database.query(resultRecord, [
    toPlainArray(batch.map(({ trigger }) => trigger.id)),
    toTimeArray(fireTimes),
    toPlainArray(batch.map(({ number }) => number)),
    toPlainArray(batch.map(({ attemptId }) => attemptId)),
    toPlainArray(batch.map(({ delivery }) => delivery.outcome.kind)),
    toTimeArray(batch.map(({ startTimeMs }) => startTimeMs)),
    toPlainArray(batch.map(({ durationMs }) => durationMs)),
    toPlainArray(batch.map(({ delivery }) => statusCodeOf(delivery))),
    batch.map(({ delivery }) => delivery.error),
    batch.map(({ delivery }) => delivery.responseBody),
    toSqlTime(Math.min(...fireTimes)),
    toSqlTime(Math.max(...fireTimes)),
    `{${batch.map(toChange).join(",")}}`,
  ]);
  return new Map(rows.map(({ id, state }) => [id, state]));
}

/** Writes one member of the JSON object in which the statement looks up what to change in each trigger. */
function toChange({ trigger, number, next, owner, startTimeMs, endTimeMs }: Result): string {
  const start = number === trigger.attemptBase + 1 ? `"${toIso(startTimeMs)}"` : "null";
  const due = next.state === "RETRYING" ? `"${toIso(next.dueTimeMs)}"` : "null";
  const heldBy = owner === null ? "null" : `"${owner}"`;
  return `"${trigger.id}":["${next.state}",${number},"${toIso(endTimeMs)}",${start},${due},${heldBy}]`;
}

function statusCodeOf({ outcome }: Delivery): number | null {
  return "statusCode" in outcome ? outcome.statusCode : null;
}
