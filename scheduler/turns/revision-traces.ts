import type { Database } from "../../db/pool.ts";
import type { Logger } from "../../mesh/logger.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { revisionTraceparents } from "../job/revisions.sql.ts";

/** Finds out which calls made the revisions of jobs. */
export interface RevisionTraces {
  /**
   * Returns the traceparent of the call that made the revision of each event; null where none is known or can be read now.
   * Never rejects.
   */
  of(events: readonly TriggerEventInit[]): Promise<ReadonlyMap<TriggerEventInit, string | null>>;
}

/** Most revisions of which the traceparent is kept in memory. */
export const MAX_KEPT = 10_000;
/** Most revisions of one query. Those that gather beyond it while a query is under way are not read. */
export const MAX_GATHERED = 1_000;

type Revision = Pick<TriggerEventInit, "jobUid" | "revision">;

interface State {
  readonly database: Database;
  readonly logger: Pick<Logger, "warn">;
  /** What was read, the oldest first. A revision never changes. */
  readonly kept: Map<string, string | null>;
  /** The revisions of the next query. */
  gathered: Map<string, Revision>;
  /** The query under way. */
  current: Promise<void>;
  /** Resolves when the next query has ended; undefined while nobody waits for one. */
  next: Promise<void> | undefined;
}

/**
 * Makes a reader that keeps what it has read. It makes one query at a time, for all that have gathered meanwhile, so that
 * traces take one connection at most, however many triggers are handed over.
 */
export function createRevisionTraces(database: Database, logger: Pick<Logger, "warn">): RevisionTraces {
  const kept = new Map<string, string | null>();
  const state: State = {
    database,
    logger,
    kept,
    gathered: new Map(),
    current: Promise.resolve(),
    next: undefined,
  };
  return {
    of: async (events) => {
      if (gather(state, events)) await readNext(state);
      return new Map(events.map((event) => [event, kept.get(keyOf(event)) ?? null]));
    },
  };
}

/** Adds to the next query what is not known, as far as there is room. Returns whether to wait for that query. */
function gather({ kept, gathered }: State, events: readonly TriggerEventInit[]): boolean {
  let mustWait = false;
  for (const event of events) {
    const key = keyOf(event);
    if (kept.has(key)) continue;
    if (gathered.size < MAX_GATHERED) gathered.set(key, event);
    mustWait ||= gathered.has(key);
  }
  return mustWait;
}

function readNext(state: State): Promise<void> {
  state.next ??= state.current.then(() => {
    state.next = undefined;
    const revisions = [...state.gathered.values()];
    state.gathered = new Map();
    state.current = read(state, revisions);
    return state.current;
  });
  return state.next;
}

async function read({ database, logger, kept }: State, revisions: readonly Revision[]): Promise<void> {
  try {
    const rows = await database.query(revisionTraceparents, [
      revisions.map(({ jobUid }) => jobUid),
      revisions.map(({ revision }) => revision),
    ]);
    for (const { job_uid: jobUid, revision, traceparent } of rows) {
      kept.set(keyOf({ jobUid, revision }), traceparent);
    }
    for (const oldest of kept.keys()) {
      if (kept.size <= MAX_KEPT) break;
      kept.delete(oldest);
    }
  } catch (error) {
    logger.warn({ err: error }, "the calls that made revisions could not be read; traces lack their links");
  }
}

function keyOf({ jobUid, revision }: Revision): string {
  return `${jobUid} ${revision}`;
}
