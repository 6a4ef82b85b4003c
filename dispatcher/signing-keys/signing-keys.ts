import type { KeyObject } from "node:crypto";
import { isItemFault } from "../../db/item-fault.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { dataKeysChanged } from "./data-keys.sql.ts";
import { type MasterKeys, MissingMasterKeyError } from "./master-keys.ts";
import { openSigners, type Signer } from "./open-signers.ts";
import { type LiveKeyRow, signingKeysByProject, signingKeysVersion } from "./signing-keys.sql.ts";

/** Most keys that sign one attempt. A project has no more; this is a bound all the same. */
const MAX_SIGNERS = 5;

/**
 * Greatest age of the cached keys that may be used for signing, in milliseconds. A change of keys waits that long before
 * its call returns. So when it returns, every dispatcher knows the change.
 */
export const MAX_STALE_MS = 1_000;

/** A cache of the keys that sign the webhooks of projects. */
export interface SigningKeys {
  /**
   * Returns the keys of a project that sign at `atMs` (epoch milliseconds): first those of HMAC, then those of ed25519,
   * each newest first. They include every key that a call has created or rotated before now, and none that a call has
   * revoked before now. Undefined when the keys must be loaded first. Empty when the project has no key, or when one of
   * its keys cannot be read or decrypted.
   */
  get(projectId: string, atMs: number): readonly KeyObject[] | undefined;
  /**
   * Reads the keys of those projects for which `get` returns undefined. Throws SERVICE_UNAVAILABLE, and a
   * MissingMasterKeyError when this dispatcher does not have the master key of some of them; those of the others are read.
   */
  load(projectIds: Iterable<string>): Promise<void>;
  /**
   * Checks whether keys have changed, if any were used in the last minute. If so, reads the keys of those projects in use
   * again whose keys have. Throws like `load`.
   */
  refresh(): Promise<void>;
}

/** What the cache needs. */
export interface SigningKeysParts {
  readonly database: Queryable;
  readonly masterKeys: MasterKeys;
  readonly clock: Clock;
  /** A clock that never steps, such as performance.now. */
  readonly monotonicMs: () => number;
  /** Called when a signing key of a project cannot be read, or the master key does not decrypt it. */
  readonly onTrouble: (error: unknown) => void;
}

interface Entry {
  signers: readonly Signer[];
  /** The keys of `signers`. */
  keys: readonly KeyObject[];
  /** When the first of the keys expires, in epoch milliseconds. */
  expireMs: number;
  /** The version of all signing keys at which these were complete. -1 if they could not be read. */
  version: number;
  /** When the statement that read them was sent. */
  readonly readAtMs: number;
  usedAtMs: number;
}

interface State extends SigningKeysParts {
  readonly entries: Map<string, Entry>;
  /** The version at the last refresh, and when the statement that read it was sent. */
  latest: { readonly version: number; readonly readAtMs: number };
}

/** A project's keys are removed from the cache when they were not used for this long. */
const IDLE_MS = 60_000;
/** If more projects than this have changed since the last refresh, all that are in use are read again. */
const MAX_CHANGED = 1_000;

/**
 * Makes the cache. `refresh` must be called several times within MAX_STALE_MS. It reads one version number, which shows
 * whether all cached keys are still current.
 */
export function createSigningKeys(parts: SigningKeysParts): SigningKeys {
  const { monotonicMs } = parts;
  const entries = new Map<string, Entry>();
  const state: State = { ...parts, entries, latest: { version: -1, readAtMs: Number.NEGATIVE_INFINITY } };
  return {
    get: (projectId, atMs) => {
      const entry = entries.get(projectId);
      const nowMs = monotonicMs();
      if (entry === undefined || !isFresh(state, entry, nowMs)) return undefined;
      entry.usedAtMs = nowMs;
      if (atMs >= entry.expireMs) keepLive(entry, atMs);
      return entry.keys;
    },
    load: async (projectIds) => {
      const nowMs = monotonicMs();
      const missing = new Set<string>();
      for (const projectId of projectIds) {
        const entry = entries.get(projectId);
        if (entry === undefined || !isFresh(state, entry, nowMs)) missing.add(projectId);
      }
      if (missing.size > 0) await read(state, [...missing]);
    },
    refresh: () => refresh(state),
  };
}

function isFresh({ latest }: State, entry: Entry, nowMs: number): boolean {
  return (
    nowMs - entry.readAtMs <= MAX_STALE_MS ||
    (entry.version === latest.version && nowMs - latest.readAtMs <= MAX_STALE_MS)
  );
}

function keepLive(entry: Entry, atMs: number): void {
  entry.signers = entry.signers.filter(({ expireMs }) => expireMs > atMs);
  entry.keys = entry.signers.map(({ key }) => key);
  entry.expireMs = firstEnd(entry.signers);
}

function firstEnd(signers: readonly Signer[]): number {
  return Math.min(Number.POSITIVE_INFINITY, ...signers.map(({ expireMs }) => expireMs));
}

async function refresh(state: State): Promise<void> {
  const { database, entries, monotonicMs } = state;
  const readAtMs = monotonicMs();
  for (const [projectId, { usedAtMs }] of entries) {
    if (readAtMs - usedAtMs > IDLE_MS) entries.delete(projectId);
  }
  // Without keys in use there is nothing to compare: the next one is read from the database.
  if (entries.size === 0) return;
  const [row] = await database.query(signingKeysVersion);
  if (row === undefined) throw new Error("dispatcher.signing_keys_version has no row.");
  const outdated = await findOutdated(state, row.version);
  state.latest = { version: row.version, readAtMs };
  if (outdated.length > 0) await read(state, outdated);
}

/** Returns the cached projects whose keys must be read again. The others are complete at this version, and get it. */
async function findOutdated({ database, entries }: State, version: number): Promise<string[]> {
  const older = [...entries].filter(([, entry]) => entry.version < version);
  const readable = older.filter(([, entry]) => entry.version >= 0);
  const outdated = new Set(older.filter(([, entry]) => entry.version < 0).map(([projectId]) => projectId));
  if (readable.length > 0) {
    const since = Math.min(...readable.map(([, entry]) => entry.version));
    const changed = await database.query(dataKeysChanged, [since, MAX_CHANGED]);
    const changes = new Map(changed.map(({ project_id, keys_version }) => [project_id, keys_version]));
    const isComplete = changed.length < MAX_CHANGED;
    for (const [projectId, entry] of readable) {
      if (isComplete && (changes.get(projectId) ?? -1) <= entry.version) entry.version = version;
      else outdated.add(projectId);
    }
  }
  return [...outdated];
}

async function read(state: State, projectIds: readonly string[]): Promise<void> {
  const { database, clock, entries, monotonicMs, onTrouble } = state;
  const readAtMs = monotonicMs();
  const now = toSqlTime(clock.now());
  const readPart = (part: readonly string[]) =>
    database.query(signingKeysByProject, [part, MAX_SIGNERS, now]);
  const { results, failed } = await takeApart(projectIds, readPart, { isItemFault });
  const set = (projectId: string, version: number, signers: readonly Signer[]) => {
    const keys = signers.map(({ key }) => key);
    const expireMs = firstEnd(signers);
    entries.set(projectId, { signers, keys, expireMs, version, readAtMs, usedAtMs: readAtMs });
  };
  let missing: MissingMasterKeyError | undefined;
  for (const rows of results) {
    for (const [projectId, own] of Map.groupBy(rows, ({ project_id }) => project_id)) {
      const signers = openAll(state, projectId, own);
      if (!(signers instanceof MissingMasterKeyError)) {
        set(projectId, own[0]?.version ?? -1, signers);
        continue;
      }
      entries.delete(projectId);
      missing = signers;
    }
  }
  for (const { item: projectId, error } of failed) {
    onTrouble(error);
    set(projectId, -1, []);
  }
  if (missing !== undefined) throw missing;
}

// If one key cannot be decrypted, none is used: each active key signs every webhook, or a receiver could miss its own. A
// missing master key says nothing about the project's keys. So they do not count as read.
function openAll(
  { masterKeys, onTrouble }: State,
  projectId: string,
  rows: readonly LiveKeyRow[],
): readonly Signer[] | MissingMasterKeyError {
  try {
    return openSigners(masterKeys, projectId, rows);
  } catch (error) {
    onTrouble(error);
    return error instanceof MissingMasterKeyError ? error : [];
  }
}
