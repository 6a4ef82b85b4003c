import type { Database } from "../../db/pool.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import { revisionTraceparents } from "../job/revisions.sql.ts";

/** Finds out which calls made the revisions of jobs. */
export interface RevisionTraces {
  /** Returns the traceparent of the call that made the revision of each event; null where none is known. */
  of(events: readonly TriggerEventInit[]): Promise<ReadonlyMap<TriggerEventInit, string | null>>;
}

/** Most revisions of which the traceparent is kept in memory. */
const MAX_KEPT = 10_000;

/** Makes a reader that keeps what it has read: a revision never changes. */
export function createRevisionTraces(database: Database): RevisionTraces {
  const kept = new Map<string, string | null>();
  return {
    of: async (events) => {
      const unknown = events.filter((event) => !kept.has(keyOf(event.jobUid, event.revision)));
      if (unknown.length > 0) {
        const rows = await database.query(revisionTraceparents, [
          unknown.map(({ jobUid }) => jobUid),
          unknown.map(({ revision }) => revision),
        ]);
        if (kept.size + rows.length > MAX_KEPT) kept.clear();
        for (const { job_uid, revision, traceparent } of rows)
          kept.set(keyOf(job_uid, revision), traceparent);
      }
      return new Map(events.map((event) => [event, kept.get(keyOf(event.jobUid, event.revision)) ?? null]));
    },
  };
}

function keyOf(jobUid: string, revision: number): string {
  return `${jobUid} ${revision}`;
}
