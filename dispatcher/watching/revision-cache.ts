import type { Queryable } from "../../db/pool.ts";
import { specByRevision } from "../delivery/specs.sql.ts";
import { compileRevision, type WatchedRevision } from "./watched-revision.ts";

/** A job's revision. */
export interface RevisionName {
  readonly jobUid: string;
  readonly revision: number;
}

/** The compiled revisions that were used last. A revision never changes. */
export interface RevisionCache {
  /**
   * Returns the revisions, by job and number. One that cannot be read is left out and reported to `onUnreadable`. Throws
   * SERVICE_UNAVAILABLE.
   */
  load(
    on: Queryable,
    names: readonly RevisionName[],
  ): Promise<(name: RevisionName) => WatchedRevision | undefined>;
}

/** Most revisions that are kept. One takes about 2 KB. */
const MAX_KEPT = 10_000;
/** Most revisions of one statement: a specification has up to a few hundred kilobytes. */
const MAX_READ = 20;

/** Makes an empty cache. */
export function createRevisionCache(
  onUnreadable: (name: RevisionName, error: unknown) => void,
): RevisionCache {
  const known = new Map<string, WatchedRevision | undefined>();
  return {
    load: async (on, names) => {
      const missing = new Map(
        names.filter((name) => !known.has(keyOf(name))).map((name) => [keyOf(name), name]),
      );
      const wanted = [...missing.values()];
      if (known.size + wanted.length > MAX_KEPT) known.clear();
      const found = new Map<string, WatchedRevision | undefined>();
      for (let first = 0; first < wanted.length; first += MAX_READ)
        for (const [key, revision] of await read(on, wanted.slice(first, first + MAX_READ), onUnreadable))
          found.set(key, revision);
      for (const [key, revision] of found) known.set(key, revision);
      return (name) => known.get(keyOf(name)) ?? found.get(keyOf(name));
    },
  };
}

async function read(
  on: Queryable,
  names: readonly RevisionName[],
  onUnreadable: (name: RevisionName, error: unknown) => void,
): Promise<Map<string, WatchedRevision | undefined>> {
  const rows = await on.query(specByRevision, [
    names.map(({ jobUid }) => jobUid),
    names.map(({ revision }) => revision),
  ]);
  const revisions = new Map<string, WatchedRevision | undefined>();
  for (const { job_uid: jobUid, revision, spec } of rows) {
    const name = { jobUid, revision };
    try {
      revisions.set(keyOf(name), compileRevision(jobUid, spec));
    } catch (error) {
      revisions.set(keyOf(name), undefined);
      onUnreadable(name, error);
    }
  }
  return revisions;
}

function keyOf({ jobUid, revision }: RevisionName): string {
  return `${jobUid}/${revision}`;
}
