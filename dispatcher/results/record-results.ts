import { toPlainArray, toTimeArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Delivery } from "../delivery/outcome.ts";
import type { Result } from "./result.ts";
import { resultReadUnrecorded, resultRecord } from "./results.sql.ts";

/** What became of results that were written. */
export interface RecordAnswer {
  /** The new state of each trigger that was changed, by id. A trigger that its result no longer concerns is not here. */
  readonly states: ReadonlyMap<string, string>;
  /**
   * The ids of the triggers that are still to be changed, because another transaction has locked them. Their attempts
   * are recorded.
   */
  readonly locked: ReadonlySet<string>;
}

/**
 * Records results in one statement, or two if not all triggers were changed. Recording the same results twice changes
 * nothing. Never waits for the lock of a trigger. Throws SERVICE_UNAVAILABLE.
 */
export async function recordResults(database: Database, batch: readonly Result[]): Promise<RecordAnswer> {
  const rows = await database.query(resultRecord, [
    toPlainArray(batch.map(({ trigger }) => trigger.id)),
    toTimeArray(batch.map(({ trigger }) => trigger.fireTimeMs)),
    toPlainArray(batch.map(({ number }) => number)),
    toPlainArray(batch.map(({ attemptId }) => attemptId)),
    toPlainArray(batch.map(({ delivery }) => delivery.outcome.kind)),
    toTimeArray(batch.map(({ startTimeMs }) => startTimeMs)),
    toPlainArray(batch.map(({ durationMs }) => durationMs)),
    toPlainArray(batch.map(({ delivery }) => statusCodeOf(delivery))),
    batch.map(({ delivery }) => delivery.error),
    batch.map(({ delivery }) => delivery.responseBody),
    ...toRange(batch),
    `{${batch.map(toChange).join(",")}}`,
  ]);
  const states = new Map(rows.map(({ id, state }) => [id, state]));
  const rest = batch.filter(({ trigger }) => !states.has(trigger.id));
  return { states, locked: rest.length === 0 ? new Set() : await readUnrecorded(database, rest) };
}

async function readUnrecorded(database: Database, rest: readonly Result[]): Promise<Set<string>> {
  const rows = await database.query(resultReadUnrecorded, [
    toPlainArray(rest.map(({ trigger }) => trigger.id)),
    ...toRange(rest),
    `{${rest.map(toChange).join(",")}}`,
  ]);
  return new Set(rows.map(({ id }) => id));
}

/** Returns the range of nominal times. With it, PostgreSQL reads only the partitions concerned. */
function toRange(batch: readonly Result[]): [string, string] {
  const fireTimes = batch.map(({ trigger }) => trigger.fireTimeMs);
  return [toSqlTime(Math.min(...fireTimes)), toSqlTime(Math.max(...fireTimes))];
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
