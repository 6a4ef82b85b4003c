import { toPlainArray, toTimeArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { toIso } from "../../mesh/iso-time.ts";
import { acceptedReadUnrecorded, acceptedRecord, LONGEST_WAIT_MS } from "./accepted.sql.ts";
import type { RecordAnswer, Result } from "./result.ts";
import { toPauses, toStoredHeaders, toStoredTiming } from "./result-texts.ts";

/**
 * Records results whose triggers become ACCEPTED, in one statement, or in two if not all were changed. Like
 * `recordResults`, which calls it, it may be repeated, and never waits for the lock of a trigger. Throws
 * SERVICE_UNAVAILABLE.
 */
export async function recordAccepted(database: Database, batch: readonly Result[]): Promise<RecordAnswer> {
  const rows = await database.query(acceptedRecord, [
    ...toChanges(batch),
    toPlainArray(batch.map(({ trigger }) => trigger.id)),
    toTimeArray(batch.map(({ trigger }) => trigger.fireTimeMs)),
    toPlainArray(batch.map(({ number }) => number)),
    toPlainArray(batch.map(({ attemptId }) => attemptId)),
    toTimeArray(batch.map(({ startTimeMs }) => startTimeMs)),
    toPlainArray(batch.map(({ durationMs }) => durationMs)),
    toPlainArray(
      batch.map(({ delivery: { outcome } }) => ("statusCode" in outcome ? outcome.statusCode : null)),
    ),
    batch.map(({ delivery }) => delivery.responseBody),
    batch.map(({ delivery }) => toStoredTiming(delivery)),
    batch.map(({ delivery }) => toStoredHeaders(delivery)),
    toPauses(batch),
  ]);
  const states = new Map(rows.map(({ id, state }) => [id, state]));
  const rest = batch.filter(({ trigger }) => !states.has(trigger.id));
  if (rest.length === 0) return { states, locked: new Set() };
  const left = await database.query(acceptedReadUnrecorded, toChanges(rest));
  return { states, locked: new Set(left.map(({ id }) => id)) };
}

/** The values $1 to $4: the triggers' ids, the range of their nominal times, and what to change. */
function toChanges(batch: readonly Result[]): [string, string, string, string] {
  const fireTimes = batch.map(({ trigger }) => trigger.fireTimeMs);
  return [
    toPlainArray(batch.map(({ trigger }) => trigger.id)),
    toSqlTime(Math.min(...fireTimes)),
    toSqlTime(Math.max(...fireTimes)),
    `{${batch.map(toChange).join(",")}}`,
  ];
}

function toChange({ trigger, number, next, startTimeMs, endTimeMs }: Result): string {
  const start = number === trigger.attemptBase + 1 ? `"${toIso(startTimeMs)}"` : "null";
  const due = next.state === "ACCEPTED" ? `"${toIso(next.dueTimeMs)}"` : "null";
  const longest = `"${toIso(startTimeMs + LONGEST_WAIT_MS)}"`;
  return `"${trigger.id}":[${number},"${toIso(endTimeMs)}",${start},${due},${longest}]`;
}
