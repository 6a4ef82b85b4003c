import { isItemFault } from "../../db/item-fault.ts";
import type { Queryable } from "../../db/pool.ts";
import type { BodyTemplate } from "../../mesh/body-template.ts";
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

/** Rough size of a specification without its payload and the texts of its target. */
const BASE_BYTES = 1_000;
const PLACEHOLDER_BYTES = 50;
/** Rough size of a secret header without its texts. */
const HEADER_BYTES = 100;

/** Most entries that are spared at once: if all were used, looking through all of them would hold up the process. */
const MAX_MOVES = 1_000;

type WebhookTarget = Extract<SpecTarget, { kind: "webhook" }>;

interface Entry extends RevisionKey {
  readonly spec: Spec;
  /** Whether it was used since the entries were last looked through for one to remove. */
  isUsed: boolean;
}

/**
 * Makes a cache of roughly `maxBytes`. When it is full, the oldest specifications are removed, but for those that were
 * used since they were last looked at. To put each one that is used to the end of the list would take longer than all
 * the rest of a look-up, and so would a key made of the job and the revision.
 */
export function createSpecCache(database: Queryable, maxBytes: number): SpecCache {
  // A job has an entry for each revision that still has triggers: mostly one.
  const jobs = new Map<string, Entry[]>();
  // The entries in the order in which they are looked at.
  const queue = new Set<Entry>();
  let bytes = 0;

  const find = ({ jobUid, revision }: RevisionKey): Entry | undefined => {
    const entries = jobs.get(jobUid);
    if (entries !== undefined) for (const entry of entries) if (entry.revision === revision) return entry;
    return undefined;
  };

  const remove = (entry: Entry): void => {
    const rest = (jobs.get(entry.jobUid) ?? []).filter((other) => other !== entry);
    if (rest.length === 0) jobs.delete(entry.jobUid);
    else jobs.set(entry.jobUid, rest);
    queue.delete(entry);
    bytes -= sizeOf(entry.spec);
  };

  // An entry that was used goes to the end of the queue once, so this ends.
  const evict = (): void => {
    let moves = 0;
    for (const entry of queue) {
      if (bytes <= maxBytes || queue.size === 1) return;
      if (entry.isUsed && moves < MAX_MOVES) {
        moves += 1;
        entry.isUsed = false;
        queue.delete(entry);
        queue.add(entry);
      } else remove(entry);
    }
  };

  const keep = ({ jobUid, revision }: RevisionKey, spec: Spec): void => {
    const known = find({ jobUid, revision });
    if (known !== undefined) remove(known);
    const entry = { jobUid, revision, spec, isUsed: false };
    const others = jobs.get(jobUid);
    if (others === undefined) jobs.set(jobUid, [entry]);
    else others.push(entry);
    queue.add(entry);
    bytes += sizeOf(spec);
  };

  return {
    get: (key) => {
      const entry = find(key);
      if (entry === undefined) return undefined;
      entry.isUsed = true;
      return entry.spec;
    },
    load: async (keys) => {
      const missing = new Map<string, RevisionKey>();
      for (const key of keys) if (find(key) === undefined) missing.set(nameOfRevision(key), key);
      if (missing.size === 0) return new Map();
      const read = (part: readonly RevisionKey[]) => readSpecs(database, part);
      const { results, failed } = await takeApart([...missing.values()], read, { isItemFault });
      for (const specs of results) for (const [key, spec] of specs) keep(key, spec);
      evict();
      return new Map(failed.map(({ item, error }) => [nameOfRevision(item), error]));
    },
  };
}

async function readSpecs(database: Queryable, keys: readonly RevisionKey[]): Promise<Map<RevisionKey, Spec>> {
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
      return [key, row === undefined ? unreadableSpec("the revision has no row") : toSpec(row)];
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
  if (target.kind === "webhook")
    return target.headers.join("").length + bodyBytes(target.body) + authBytes(target);
  return target.kind === "plugin" ? target.bytes : 0;
}

function authBytes({ secretHeaders = [], tokenClient, clientCertificate }: WebhookTarget): number {
  const texts = secretHeaders.flatMap((header) => Object.values(header));
  if (tokenClient !== undefined) {
    const { origin, path, clientId, scopes } = tokenClient;
    texts.push(origin, path, clientId, ...scopes);
  }
  if (clientCertificate !== undefined) texts.push(clientCertificate.certificate);
  return HEADER_BYTES * secretHeaders.length + texts.reduce((sum, { length }) => sum + length, 0);
}

function bodyBytes(body: BodyTemplate = []): number {
  return body.reduce((sum, part) => sum + (typeof part === "string" ? part.length : PLACEHOLDER_BYTES), 0);
}
