import { toPlainArray, toTimeArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { Delivery } from "../delivery/outcome.ts";
import { toTimingText } from "../delivery/timing-text.ts";
import { toNames } from "../waiting/names.ts";
import { recordAccepted } from "./record-accepted.ts";
import type { RecordAnswer, Result } from "./result.ts";
import { toPauses, toStoredHeaders, toStoredTiming } from "./result-texts.ts";
import { resultReadUnrecorded, resultRecord, resultSucceed } from "./results.sql.ts";

/** The longest answer, in characters, that is recorded in the row of its trigger. */
const MAX_SHORT_LENGTH = 200;

/**
 * Records results in one statement if all are plain successes or none is, else in two, and in up to four if not all triggers
 * were changed. Recording the same results twice changes nothing. Never waits for the lock of a trigger. Throws SERVICE_UNAVAILABLE.
 */
export async function recordResults(database: Database, batch: readonly Result[]): Promise<RecordAnswer> {
  return batch.some(isAccepted) ? recordParts(database, batch) : recordEnded(database, batch);
}

function isAccepted({ next }: Result): boolean {
  return next.state === "ACCEPTED";
}

/** Records results of which some make their triggers ACCEPTED. */
async function recordParts(database: Database, batch: readonly Result[]): Promise<RecordAnswer> {
  const rest = batch.filter((result) => !isAccepted(result));
  const answers = [await recordAccepted(database, batch.filter(isAccepted))];
  if (rest.length > 0) answers.push(await recordEnded(database, rest));
  return {
    states: new Map(answers.flatMap(({ states }) => [...states])),
    locked: new Set(answers.flatMap(({ locked }) => [...locked])),
  };
}

async function recordEnded(database: Database, batch: readonly Result[]): Promise<RecordAnswer> {
  const fits = hasSeveralOfOne(batch) ? fitsWhereAlone(batch) : fitsTrigger;
  const plain: Result[] = [];
  const others: Result[] = [];
  for (const result of batch) (isPlain(result) && fits(result) ? plain : others).push(result);
  const states = await recordPlain(database, plain);
  let rest = states.size < plain.length ? others.concat(withoutChanged(plain, states)) : others;
  if (rest.length === 0) return { states, locked: new Set() };
  const inTrigger = (result: Result) => !isPlain(result) && fits(result);
  for (const [id, state] of await record(database, rest, inTrigger)) states.set(id, state);
  rest = withoutChanged(rest, states);
  const again = rest.filter(inTrigger);
  // The trigger is locked, or this is not its latest attempt: the attempt gets a row of its own.
  if (again.length > 0) {
    for (const [id, state] of await record(database, again, () => false)) states.set(id, state);
    rest = withoutChanged(rest, states);
  }
  return { states, locked: rest.length === 0 ? new Set() : await readUnrecorded(database, rest) };
}

function hasSeveralOfOne(batch: readonly Result[]): boolean {
  const ids = new Set<string>();
  for (const { trigger } of batch) ids.add(trigger.id);
  return ids.size < batch.length;
}

/**
 * Tells whether a result can be recorded in the row of its trigger. A trigger that has several results in a batch is
 * changed by one of them, so each of its attempts gets a row of its own.
 */
function fitsWhereAlone(batch: readonly Result[]): (result: Result) => boolean {
  const results = new Map<string, number>();
  for (const { trigger } of batch) results.set(trigger.id, (results.get(trigger.id) ?? 0) + 1);
  return (result) => results.get(result.trigger.id) === 1 && fitsTrigger(result);
}

/** Whether an attempt can be recorded in the row of its trigger: the first one, if it succeeded with a short answer. */
function fitsTrigger({ number, next, delivery }: Result): boolean {
  const { error, responseBody } = delivery;
  return (
    number === 1 &&
    next.state === "SUCCEEDED" &&
    error === "" &&
    responseBody.length <= MAX_SHORT_LENGTH &&
    // The JSON type refuses some texts that a column of PostgreSQL takes.
    responseBody.isWellFormed() &&
    !responseBody.includes("\u0000")
  );
}

function withoutChanged(batch: readonly Result[], states: ReadonlyMap<string, string>): Result[] {
  return batch.filter(({ trigger }) => !states.has(trigger.id));
}

/** Whether a result does nothing but end its trigger, if it also fits. */
function isPlain({ delivery }: Result): boolean {
  return !("pauses" in delivery.outcome);
}

/** Records successes that only end their triggers. Returns the new state of each trigger that was changed, by id. */
async function recordPlain(database: Database, plain: readonly Result[]): Promise<Map<string, string>> {
  if (plain.length === 0) return new Map();
  const changes = plain.map(
    (result) =>
      `"${result.trigger.id}":["${toIso(result.endTimeMs)}","${toIso(result.startTimeMs)}",${toAttempt(result)}]`,
  );
  const rows = await database.query(resultSucceed, [...toIdsAndRange(plain), `{${changes.join(",")}}`]);
  return new Map(rows.map(({ id }) => [id, "SUCCEEDED"]));
}

/** Returns the new state of each trigger that was changed, by id. */
async function record(
  database: Database,
  batch: readonly Result[],
  fits: (result: Result) => boolean,
): Promise<Map<string, string>> {
  const own: Result[] = [];
  const changes: string[] = [];
  for (const result of batch) {
    const isInTrigger = fits(result);
    if (!isInTrigger) own.push(result);
    changes.push(toChange(result, isInTrigger));
  }
  const rows = await database.query(resultRecord, [
    ...toIdsAndRange(batch),
    `{${changes.join(",")}}`,
    toPlainArray(own.map(({ trigger }) => trigger.id)),
    toTimeArray(own.map(({ trigger }) => trigger.fireTimeMs)),
    toPlainArray(own.map(({ number }) => number)),
    toPlainArray(own.map(({ attemptId }) => attemptId)),
    toPlainArray(own.map(({ delivery }) => delivery.outcome.kind)),
    toTimeArray(own.map(({ startTimeMs }) => startTimeMs)),
    toPlainArray(own.map(({ durationMs }) => durationMs)),
    toPlainArray(own.map(({ delivery }) => statusCodeOf(delivery))),
    own.map(({ delivery }) => delivery.error),
    own.map(({ delivery }) => delivery.responseBody),
    own.map(({ delivery }) => toStoredTiming(delivery)),
    own.map(({ delivery }) => toStoredHeaders(delivery)),
    toPauses(batch),
  ]);
  return new Map(rows.map(({ id, state }) => [id, state]));
}

async function readUnrecorded(database: Database, rest: readonly Result[]): Promise<Set<string>> {
  const rows = await database.query(resultReadUnrecorded, [
    ...toIdsAndRange(rest),
    `{${rest.map((result) => toChange(result, false)).join(",")}}`,
  ]);
  return new Set(rows.map(({ id }) => id));
}

/** Returns the triggers' ids and the range of nominal times. With it, PostgreSQL reads only the partitions concerned. */
function toIdsAndRange(batch: readonly Result[]): [string, string, string] {
  return toNames(batch.map(({ trigger }) => trigger));
}

/** Writes one member of the JSON object in which the statement looks up what to change in each trigger. */
function toChange(result: Result, isInTrigger: boolean): string {
  const { trigger, number, next, owner, startTimeMs, endTimeMs } = result;
  const start = number === trigger.attemptBase + 1 ? `"${toIso(startTimeMs)}"` : "null";
  const due = next.state === "RETRYING" ? `"${toIso(next.dueTimeMs)}"` : "null";
  const heldBy = owner === null ? "null" : `"${owner}"`;
  const attempt = isInTrigger ? `,${toAttempt(result)}` : "";
  return `"${trigger.id}":["${next.state}",${number},"${toIso(endTimeMs)}",${start},${due},${heldBy}${attempt}]`;
}

function toAttempt({ attemptId, durationMs, delivery }: Result): string {
  const { responseBody, timing, responseHeaders } = delivery;
  const known = timing === undefined ? "null" : `"${toTimingText(timing)}"`;
  const headers = responseHeaders === undefined ? "" : `,${JSON.stringify(toStoredHeaders(delivery))}`;
  return `"${attemptId}",${durationMs},${statusCodeOf(delivery)},${JSON.stringify(responseBody)},${known}${headers}`;
}

function statusCodeOf({ outcome }: Delivery): number | null {
  return "statusCode" in outcome ? outcome.statusCode : null;
}
