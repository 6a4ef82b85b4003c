import type { Database } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import type { Events } from "../events/events.ts";
import { setAsideDelete, setAsideDeleteBefore, setAsideRecord } from "./set-aside.sql.ts";

/** What can be set aside; the same words as in the table dispatcher.set_aside. */
export const SET_ASIDE_KINDS = ["specification", "trigger", "result"] as const;

/** One of `SET_ASIDE_KINDS`. */
export type SetAsideKind = (typeof SET_ASIDE_KINDS)[number];

/** An item that failed alone. */
export interface FailedItem {
  /** <job uid>/<revision> of a specification, the id of a trigger, the id of a result's attempt. */
  readonly id: string;
  readonly projectId: string;
  readonly jobUid: string;
  readonly error: unknown;
}

/**
 * The list of what failed alone when a batch was taken apart. The item waits, while the others of its batch go on. The
 * caller tries it again after the pause that `put` returns.
 */
export interface SetAside {
  /**
   * Records failed items of a kind, and emits `setAside` once for all of them. Returns for each id after how many
   * milliseconds it is to be tried again: a minute, later up to an hour. Never throws: if the list cannot be written, it
   * is a minute for all.
   */
  put(kind: SetAsideKind, items: readonly FailedItem[]): Promise<ReadonlyMap<string, number>>;
  /** Removes items that could be handled, if this process has put them into the list. Returns at once. */
  remove(kind: SetAsideKind, ids: Iterable<string>): void;
  /** Removes items that nobody has tried again, because they are no longer wanted. Throws SERVICE_UNAVAILABLE. */
  removeOld(): Promise<void>;
}

/** How often `removeOld` is to be called. */
export const REMOVE_OLD_EVERY_MS = 600_000;

const FIRST_PAUSE_MS = 60_000;
/** Longer than the longest pause, an hour: by then each dispatcher that still wants an item has tried it again. */
const OLD_MS = 2 * 3_600_000;
/** Bounds of what one event says. */
const MAX_NAMED = 10;
const MAX_PROBLEM_LENGTH = 500;

/** Makes the list. */
export function createSetAside(parts: {
  readonly database: Database;
  readonly clock: Clock;
  readonly events: Events;
}): SetAside {
  const { database, clock, events } = parts;
  // What this process has put into the table, so that success needs no statement while the list is empty.
  const known = new Set<string>();
  return {
    put: async (kind, items) => {
      const nowMs = clock.now();
      const pauses = new Map(items.map(({ id }) => [id, FIRST_PAUSE_MS]));
      const unique = [...new Map(items.map((item) => [item.id, item])).values()];
      const [first] = unique;
      if (first === undefined) return pauses;
      for (const { id } of unique) known.add(`${kind} ${id}`);
      const ids = unique.map(({ id }) => id);
      try {
        const rows = await database.query(setAsideRecord, [
          kind,
          ids,
          unique.map(({ projectId }) => projectId),
          unique.map(({ jobUid }) => jobUid),
          unique.map(({ error }) => toProblem(error)),
          toSqlTime(nowMs),
        ]);
        for (const { id, retry_time } of rows) pauses.set(id, retry_time - nowMs);
      } catch (error) {
        events.emit("trouble", { part: "setting aside", error });
      }
      events.emit("setAside", {
        kind,
        count: ids.length,
        ids: ids.slice(0, MAX_NAMED),
        pauseMs: Math.min(...pauses.values()),
        error: first.error,
      });
      return pauses;
    },
    remove: (kind, ids) => {
      if (known.size === 0) return;
      const mine = [...ids].filter((id) => known.delete(`${kind} ${id}`));
      if (mine.length === 0) return;
      // A row that stays is removed when it is old.
      database.query(setAsideDelete, [kind, mine]).catch((error: unknown) => {
        events.emit("trouble", { part: "setting aside", error });
      });
    },
    removeOld: async () => {
      const rows = await database.query(setAsideDeleteBefore, [toSqlTime(clock.now() - OLD_MS)]);
      for (const { kind, id } of rows) known.delete(`${kind} ${id}`);
    },
  };
}

/** Returns the message of an error as PostgreSQL can store it. */
function toProblem(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll("\u0000", "").toWellFormed().slice(0, MAX_PROBLEM_LENGTH).toWellFormed();
}
