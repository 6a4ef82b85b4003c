import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { typeid } from "typeid-js";
import { isItemFault } from "../../db/item-fault.ts";
import type { Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { openSecret, sealSecret } from "./sealed-secret.ts";
import {
  type SigningKeyRow,
  signingKeyInsert,
  signingKeysByProject,
  signingKeysVersion,
} from "./signing-keys.sql.ts";

/** Most keys that sign one webhook. If a project has more, the newest are used. */
export const MAX_SIGNING_KEYS = 5;

/**
 * Greatest age of the cached keys that may be used for signing, in milliseconds. CreateSigningKey waits that long
 * before it returns. So when it returns, every dispatcher knows the new key.
 */
export const MAX_STALE_MS = 1_000;

/** A new key with its secret, as CreateSigningKey returns it. */
export interface NewSigningKey {
  /** sk_…. */
  readonly id: string;
  /** whsec_… and 32 random bytes in base64. */
  readonly secret: string;
  readonly createTimeMs: number;
}

/** A cache of the keys that sign the webhooks of projects. */
export interface SigningKeys {
  /**
   * Returns a project's keys, newest first, at most five. They include every key that a CreateSigningKey call has
   * returned before now. Undefined when the keys must be loaded first. Empty when the project has no key, or when one
   * of its keys cannot be read or decrypted.
   */
  get(projectId: string): readonly KeyObject[] | undefined;
  /** Reads the keys of those projects for which `get` returns undefined. Throws SERVICE_UNAVAILABLE. */
  load(projectIds: Iterable<string>): Promise<void>;
  /**
   * Checks whether the keys have changed, if any were used in the last minute. If so, reads the keys of the projects in
   * use again. Throws SERVICE_UNAVAILABLE.
   */
  refresh(): Promise<void>;
}

interface Entry {
  readonly keys: readonly KeyObject[];
  readonly version: number;
  /** When the statement that read them was sent. */
  readonly readAtMs: number;
  usedAtMs: number;
}

/** A project's keys are removed from the cache when they were not used for this long. */
const IDLE_MS = 60_000;

/**
 * Makes the cache. `monotonicMs` is a clock that never steps, such as performance.now. `refresh` must be called several
 * times within MAX_STALE_MS. It reads one version number, which shows whether all cached keys are still current.
 */
export function createSigningKeys(parts: {
  readonly database: Queryable;
  readonly masterKey: KeyObject;
  readonly monotonicMs: () => number;
  /** Called when a signing key of a project cannot be read, or the master key does not decrypt it. */
  readonly onTrouble: (error: unknown) => void;
}): SigningKeys {
  const { database, monotonicMs } = parts;
  const entries = new Map<string, Entry>();
  let latest = { version: -1, readAtMs: Number.NEGATIVE_INFINITY };

  const read = async (projectIds: readonly string[]): Promise<void> => {
    const readAtMs = monotonicMs();
    const readPart = (part: readonly string[]) =>
      database.query(signingKeysByProject, [part, MAX_SIGNING_KEYS]);
    const { results, failed } = await takeApart(projectIds, readPart, { isItemFault });
    for (const rows of results) {
      const version = rows[0]?.version ?? -1;
      for (const [projectId, sealed] of groupByProject(rows)) {
        entries.set(projectId, { keys: openAll(sealed, parts), version, readAtMs, usedAtMs: readAtMs });
      }
    }
    for (const { item: projectId, error } of failed) {
      parts.onTrouble(error);
      entries.set(projectId, { keys: [], version: -1, readAtMs, usedAtMs: readAtMs });
    }
  };

  const isFresh = (entry: Entry, nowMs: number): boolean =>
    nowMs - entry.readAtMs <= MAX_STALE_MS ||
    (entry.version === latest.version && nowMs - latest.readAtMs <= MAX_STALE_MS);

  return {
    get: (projectId) => {
      const entry = entries.get(projectId);
      const nowMs = monotonicMs();
      if (entry === undefined || !isFresh(entry, nowMs)) return undefined;
      entry.usedAtMs = nowMs;
      return entry.keys;
    },
    load: async (projectIds) => {
      const nowMs = monotonicMs();
      const missing = new Set<string>();
      for (const projectId of projectIds) {
        const entry = entries.get(projectId);
        if (entry === undefined || !isFresh(entry, nowMs)) missing.add(projectId);
      }
      if (missing.size > 0) await read([...missing]);
    },
    refresh: async () => {
      const readAtMs = monotonicMs();
      for (const [projectId, { usedAtMs }] of entries)
        if (readAtMs - usedAtMs > IDLE_MS) entries.delete(projectId);
      // Without keys in use there is nothing to compare: the next one is read from the database.
      if (entries.size === 0) return;
      const [row] = await database.query(signingKeysVersion);
      if (row === undefined) throw new Error("dispatcher.signing_keys_version has no row.");
      latest = { version: row.version, readAtMs };
      const outdated: string[] = [];
      for (const [projectId, entry] of entries) {
        if (entry.version !== row.version) outdated.push(projectId);
      }
      if (outdated.length > 0) await read(outdated);
    },
  };
}

interface SealedKey {
  readonly id: string;
  readonly secret: Buffer;
}

function groupByProject(rows: readonly SigningKeyRow[]): Map<string, SealedKey[]> {
  const groups = new Map<string, SealedKey[]>();
  for (const { project_id, id, sealed_secret } of rows) {
    const group = groups.get(project_id) ?? [];
    groups.set(project_id, group);
    if (id !== null && sealed_secret !== null) group.push({ id, secret: sealed_secret });
  }
  return groups;
}

// If one key cannot be decrypted, none is used. CreateSigningKey promises that each of the keys signs every webhook.
function openAll(
  sealed: readonly SealedKey[],
  parts: { readonly masterKey: KeyObject; readonly onTrouble: (error: unknown) => void },
): KeyObject[] {
  try {
    return sealed.map(({ id, secret }) => createSecretKey(openSecret(parts.masterKey, id, secret)));
  } catch (error) {
    parts.onTrouble(error);
    return [];
  }
}

/**
 * Creates a key of 32 random bytes, and waits until every dispatcher signs with it. Throws SERVICE_UNAVAILABLE.
 */
export async function createSigningKey(
  parts: {
    readonly database: Queryable;
    readonly masterKey: KeyObject;
    /** Resolves after so many milliseconds. */
    readonly pause: (ms: number) => Promise<unknown>;
  },
  projectId: string,
  nowMs: number,
): Promise<NewSigningKey> {
  const id = typeid("sk").toString();
  const bytes = randomBytes(32);
  const sealed = sealSecret(parts.masterKey, id, bytes);
  await parts.database.query(signingKeyInsert, [id, projectId, sealed, toSqlTime(nowMs)]);
  // The 5 ms are for timers, which may fire 1 ms early.
  await parts.pause(MAX_STALE_MS + 5);
  return { id, secret: `whsec_${bytes.toString("base64")}`, createTimeMs: nowMs };
}
