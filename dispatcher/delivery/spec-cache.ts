import { isItemFault } from "../../db/item-fault.ts";
import type { Queryable } from "../../db/pool.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { type Spec, type SpecTarget, toSpec, unreadableSpec } from "./spec.ts";
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
   * with an unreadable target. If the statement fails because of one revision, it is repeated for the others. Returns
   * the errors of the revisions that fail alone, by `nameOfRevision`. Throws SERVICE_UNAVAILABLE.
   */
  load(keys: readonly RevisionKey[]): Promise<ReadonlyMap<string, unknown>>;
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
      const name = nameOfRevision(key);
      const spec = entries.get(name);
      if (spec === undefined) return undefined;
      entries.delete(name);
      entries.set(name, spec);
      return spec;
    },
    load: async (keys) => {
      const missing = new Map<string, RevisionKey>();
      for (const key of keys) {
        const name = nameOfRevision(key);
        if (!entries.has(name)) missing.set(name, key);
      }
      const read = (part: readonly RevisionKey[]) => readSpecs(database, part);
      const { results, failed } = await takeApart([...missing.values()], read, { isItemFault });
      for (const specs of results) for (const [name, spec] of specs) keep(name, spec);
      evict();
      return new Map(failed.map(({ item, error }) => [nameOfRevision(item), error]));
    },
  };
}

async function readSpecs(database: Queryable, keys: readonly RevisionKey[]): Promise<Map<string, Spec>> {
  const rows = await database.query(specByRevision, [
    keys.map(({ jobUid }) => jobUid),
    keys.map(({ revision }) => revision),
  ]);
  const found = new Map(
    rows.map((row) => [nameOfRevision({ jobUid: row.job_uid, revision: row.revision }), row]),
  );
  return new Map(
    keys.map((key) => {
      const name = nameOfRevision(key);
      const row = found.get(name);
      return [name, row === undefined ? unreadableSpec("the revision has no row") : toSpec(row)];
    }),
  );
}

/** Returns the name of a revision: the job's uid and the number. */
export function nameOfRevision({ jobUid, revision }: RevisionKey): string {
  return `${jobUid}/${revision}`;
}

function sizeOf({ target, payload }: Spec): number {
  return BASE_BYTES + payload.length + targetBytes(target);
}

function targetBytes(target: SpecTarget): number {
  if (target.kind === "webhook") return target.headers.join("").length;
  return target.kind === "plugin" ? target.bytes : 0;
}
