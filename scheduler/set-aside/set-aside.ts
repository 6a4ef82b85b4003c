import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import {
  type SetAsideKind,
  type SetAsideRow,
  setAsideAdd,
  setAsideRemove,
  setAsideRemoveIdle,
} from "./set-aside.sql.ts";

/** Something that failed, and because of which nothing else may fail. */
export interface Trouble {
  /** The uid of the job or of the operation. */
  readonly id: string;
  readonly projectId: string;
  /** What is wrong, in a sentence that the customer may read. */
  readonly problem: string;
  /** The error itself, for the log and for operators. */
  readonly error: unknown;
}

/** A trouble that is recorded: when it is tried again, in epoch milliseconds, and how often it has failed in a row. */
export interface SetAside extends Trouble {
  readonly failures: number;
  readonly retryTimeMs: number;
}

/** The longest problem and the longest error that are stored, in UTF-16 code units. */
const MAX_TEXT = 500;
/** What has not been tried for so long has nothing left to be done. */
const KEPT_MS = 24 * 3_600_000;

/**
 * Sets things aside at `nowMs`, in epoch milliseconds, and returns when each will be tried again: after a minute, after
 * twice that time for each further failure, and after an hour at most. Call it outside the transaction that failed.
 */
export async function setAside(
  on: Queryable,
  kind: SetAsideKind,
  troubles: readonly Trouble[],
  nowMs: number,
): Promise<SetAside[]> {
  if (troubles.length === 0) return [];
  // One statement cannot write the same row twice.
  const byId = new Map(troubles.map((trouble) => [trouble.id, trouble]));
  const distinct = [...byId.values()];
  const rows = await on.query(setAsideAdd, [
    kind,
    toSqlTime(nowMs),
    distinct.map(({ id }) => id),
    distinct.map(({ projectId }) => projectId),
    distinct.map(({ problem }) => toStoredText(problem)),
    distinct.map(({ error }) => toStoredText(describe(error))),
  ]);
  return rows.flatMap(({ id, failures, retry_time: retryTimeMs }) => {
    const trouble = byId.get(id);
    return trouble === undefined ? [] : [{ ...trouble, failures, retryTimeMs }];
  });
}

/** Ends the setting aside of things that work again. */
export async function putBack(on: Queryable, kind: SetAsideKind, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await on.query(setAsideRemove, [kind, ids]);
}

/**
 * Forgets that for which nothing is left to do at `nowMs`: jobs that no tick looks at any more, because they were paused,
 * deleted or finished, and what has not been tried for a day.
 */
export async function forgetSetAside(on: Queryable, nowMs: number): Promise<void> {
  await on.query(setAsideRemoveIdle, [toSqlTime(nowMs), toSqlTime(nowMs - KEPT_MS)]);
}

/** Returns the problem of something that is set aside, as the customer reads it. */
export function describeSetAside({ problem, retry_time: retryTimeMs }: SetAsideRow): string {
  const next = new Date(retryTimeMs).toISOString().replace(/\.\d+Z$/, "Z");
  return `${problem} EasyCron support has been alerted; next try at ${next}.`;
}

// The message of an INTERNAL error says only how to find the log line. Its cause says what happened.
function describe(error: unknown): string {
  return String(error instanceof EasyCronError ? (error.cause ?? error) : error);
}

// PostgreSQL refuses U+0000, and cannot store half of a surrogate pair.
function toStoredText(text: string): string {
  return text.slice(0, MAX_TEXT).replaceAll("\0", "\u{FFFD}").toWellFormed();
}
