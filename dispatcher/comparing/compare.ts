import { toPlainArray } from "../../db/array.ts";
import type { Database } from "../../db/pool.ts";
import type { Statement } from "../../db/statement.ts";
import type { Wanted } from "../../mesh/loop.ts";
import type { Events } from "../events/events.ts";
import {
  type ComparedRow,
  liveCompare,
  liveListMissing,
  liveLock,
  liveLockTriggers,
  liveRepair,
} from "./compare.sql.ts";

/** The pause between two rounds of a comparison. */
export const COMPARE_EVERY_MS = 3_600_000;

/** The first round begins within this time, at a random moment: dispatchers are often started together. */
const FIRST_WITHIN_MS = 600_000;
/** How long each of the two tables is read in a round. A step that has begun is ended. */
const ROUND_MS = 2_000;
/** Rows of dispatcher.live_triggers in one step. */
const ROWS = 10_000;
/** Blocks of each partition of dispatcher.triggers in one step. */
const BLOCKS = 500;
/** Most triggers that are repaired at once. */
const MOST = 1_000;

/** What a comparison needs. */
export interface ComparisonParts {
  readonly database: Database;
  readonly events: Events;
  /** Uniform in [0, 1), as Math.random. */
  readonly random: () => number;
  /** Asked before each step. */
  readonly mayGoOn: () => boolean;
  /** For tests: how many rows and blocks a step reads. */
  readonly step?: { readonly rows: number; readonly blocks: number };
  /** A clock that never steps. */
  readonly elapsedMs?: () => number;
}

/** A table that is read step by step. */
interface Walk {
  readonly statement: Statement<ComparedRow>;
  readonly size: number;
  readonly start: string;
  /** Where the next step begins. */
  at: string;
}

/**
 * Returns a function that compares dispatcher.live_triggers with dispatcher.triggers, repairs what differs, and tells of it
 * as `liveTriggersDiffered`. No statement of this version makes them differ; a process of an earlier version does, or a
 * hand. The row of dispatcher.triggers is what counts.
 *
 * A call only chooses when the first round begins, or it is one round: it reads each table for two seconds. The next round
 * goes on where this one has ended. So a row is looked at once an hour while the tables are small, and about once in N hours
 * when it takes 2 N seconds to read them. What another transaction has locked is left for the next time. Throws
 * SERVICE_UNAVAILABLE.
 */
export function createComparison(parts: ComparisonParts): () => Promise<Wanted> {
  const { rows, blocks } = parts.step ?? { rows: ROWS, blocks: BLOCKS };
  const live: Walk = { statement: liveCompare, size: rows, start: "", at: "" };
  const all: Walk = { statement: liveListMissing, size: blocks, start: "0", at: "0" };
  let hasBegun = false;
  return async () => {
    if (!hasBegun) {
      hasBegun = true;
      return { more: false, againMs: parts.random() * FIRST_WITHIN_MS };
    }
    for (const walk of [live, all]) await goOn(parts, walk);
    return { more: false };
  };
}

async function goOn(parts: ComparisonParts, walk: Walk): Promise<void> {
  const { database, mayGoOn, elapsedMs = () => performance.now() } = parts;
  const endMs = elapsedMs() + ROUND_MS;
  while (mayGoOn() && elapsedMs() < endMs) {
    const [row] = await database.query(walk.statement, [walk.at, walk.size, MOST]);
    const { different, next } = row ?? { different: [], next: null };
    const repaired = different.length > 0 ? await repair(parts, different) : 0;
    // There may be more of them in the same place.
    if (different.length === MOST && repaired > 0) continue;
    walk.at = next ?? walk.start;
    if (next === null) return;
  }
}

/** Returns how many rows it has changed. */
async function repair({ database, events }: ComparisonParts, ids: readonly string[]): Promise<number> {
  const wanted = toPlainArray(ids);
  const repaired = await database.transaction(async (tx) => {
    const triggers = await tx.query(liveLockTriggers, [wanted]);
    const live = await tx.query(liveLock, [wanted]);
    // A new statement sees what was committed before the locks were taken, and nobody changes the rows any more.
    return tx.query(liveRepair, [toIds(triggers), toIds(live)]);
  });
  events.emit("liveTriggersDiffered", {
    found: ids.length,
    repaired: repaired.length,
    ids: ids.slice(0, 10),
  });
  return repaired.length;
}

function toIds(rows: readonly { readonly id: string }[]): string {
  return toPlainArray(rows.map(({ id }) => id));
}
