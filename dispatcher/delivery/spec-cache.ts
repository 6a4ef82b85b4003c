import type { Queryable } from "../../db/pool.ts";
import { type Spec, toSpec, unreadableSpec } from "./spec.ts";
import { specByRevision } from "./specs.sql.ts";

/** The key of a job's revision. */
export interface RevisionKey {
  readonly jobUid: string;
  readonly revision: number;
}

/**
 * A cache of specifications by revision. A revision never changes, so a cached specification never becomes outdated.
 */
export interface SpecCache {
  /** Returns the specification if it is in the cache. */
  get(key: RevisionKey): Spec | undefined;
  /**
   * Reads the specifications that are not in the cache, in one statement. A revision without a row gets a specification
   * with an unreadable target. Throws SERVICE_UNAVAILABLE.
   */
  load(keys: readonly RevisionKey[]): Promise<void>;
}

/** Rough size of a specification without its payload and headers. */
const BASE_BYTES = 1_000;

/** Makes a cache of roughly `maxBytes`. When it is full, the least recently used specifications are removed. */
export function createSpecCache(database: Queryable, maxBytes: number): SpecCache {
  const entries = new Map<string, Spec>();
  let bytes = 0;

  const evict = (): void => {
    for (const [name, spec] of entries) {
      if (bytes <= maxBytes || entries.size === 1) return;
      entries.delete(name);
      bytes -= sizeOf(spec);
    }
  };

  const keep = (name: string, spec: Spec): void => {
    const known = entries.get(name);
    if (known !== undefined) bytes -= sizeOf(known);
    entries.delete(name);
    entries.set(name, spec);
    bytes += sizeOf(spec);
  };

  return {
    get: (key) => {
      const name = nameOf(key);
      const spec = entries.get(name);
      if (spec === undefined) return undefined;
      entries.delete(name);
      entries.set(name, spec);
      return spec;
    },
    load: async (keys) => {
      const missing = new Map<string, RevisionKey>();
      for (const key of keys) if (!entries.has(nameOf(key))) missing.set(nameOf(key), key);
      if (missing.size === 0) return;
      const wanted = [...missing.values()];
      const rows = await database.query(specByRevision, [
        wanted.map(({ jobUid }) => jobUid),
        [...new Set(wanted.map(({ revision }) => revision))],
      ]);
      for (const row of rows) {
        const name = nameOf({ jobUid: row.job_uid, revision: row.revision });
        missing.delete(name);
        keep(name, toSpec(row));
      }
      for (const name of missing.keys()) keep(name, unreadableSpec("the revision has no row"));
      evict();
    },
  };
}

function nameOf({ jobUid, revision }: RevisionKey): string {
  return `${jobUid}/${revision}`;
}

function sizeOf({ target, payload }: Spec): number {
  const headers = target.kind === "webhook" ? target.headers.join("").length : 0;
  return BASE_BYTES + payload.length + headers;
}
