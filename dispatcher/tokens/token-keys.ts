import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import type { Database, Queryable } from "../../db/pool.ts";
import { dataKeysRead } from "../signing-keys/data-keys.sql.ts";
import { makeDataKey, readDataKey, unwrapDataKey } from "../signing-keys/data-keys.ts";
import type { MasterKeys } from "../signing-keys/master-keys.ts";
import { gatherReads } from "../target-secrets/gathered-reads.ts";

/**
 * The keys of acknowledgement tokens, one for each project. A key is derived from the project's data key, which stays the
 * same when the master key is replaced. So a token is valid in every dispatcher, and after a restart.
 */
export interface TokenKeys {
  /** Returns the key of a project if it is in memory. */
  get(projectId: string): KeyObject | undefined;
  /**
   * Reads the key of a project. Calls at the same time share a statement. Makes the data key if the project has none, and
   * waits for a lock only then. Throws like `lockDataKey`.
   */
  load(projectId: string): Promise<KeyObject>;
  /**
   * Reads the key of a project that somebody has named, over the connection `database`. Returns undefined if no project
   * with this id has a data key. Throws SERVICE_UNAVAILABLE, and another error without the master key.
   */
  find(database: Queryable, projectId: string): Promise<KeyObject | undefined>;
}

/** What the keys need. */
export interface TokenKeyParts {
  readonly database: Database;
  readonly masterKeys: MasterKeys;
}

/** Most keys in memory. The one that was read first is removed. */
const MAX_KEYS = 10_000;
/** Most keys of one statement. */
const BATCH = 500;
/** One connection of the pool stays free for the secrets of targets. */
const STATEMENTS_AT_ONCE = 1;

/** Makes an empty cache of keys. */
export function createTokenKeys({ database, masterKeys }: TokenKeyParts): TokenKeys {
  const known = new Map<string, KeyObject>();
  const loading = new Map<string, Promise<KeyObject>>();
  const keep = (projectId: string, dataKey: KeyObject): KeyObject => {
    const key = deriveKey(dataKey, projectId);
    known.set(projectId, key);
    const [oldest] = known.keys();
    if (known.size > MAX_KEYS && oldest !== undefined) known.delete(oldest);
    return key;
  };
  const reads = gatherReads<string, { readonly dataKey: KeyObject | undefined }>({
    read: (projectIds) => read({ database, masterKeys }, projectIds),
    nameOf: (projectId) => projectId,
    ownerOf: (projectId) => projectId,
    most: BATCH,
    atOnce: STATEMENTS_AT_ONCE,
  });
  const readOrMake = async (projectId: string): Promise<KeyObject> => {
    const { dataKey = await makeDataKey(database, masterKeys, projectId) } = await reads.load(projectId);
    return keep(projectId, dataKey);
  };
  return {
    get: (projectId) => known.get(projectId),
    load: (projectId) => {
      const running = loading.get(projectId);
      if (running !== undefined) return running;
      const started = readOrMake(projectId).finally(() => loading.delete(projectId));
      loading.set(projectId, started);
      return started;
    },
    find: async (by, projectId) => {
      const key = known.get(projectId);
      if (key !== undefined) return key;
      const dataKey = await readDataKey(by, masterKeys, projectId);
      return dataKey === undefined ? undefined : keep(projectId, dataKey);
    },
  };
}

/** Returns the data key of each project, or why it cannot be opened. */
async function read(
  { database, masterKeys }: TokenKeyParts,
  projectIds: readonly string[],
): Promise<Map<string, { readonly dataKey: KeyObject | undefined } | Error>> {
  const found = new Map<string, { dataKey: KeyObject | undefined } | Error>(
    projectIds.map((projectId) => [projectId, { dataKey: undefined }]),
  );
  for (const row of await database.query(dataKeysRead, [projectIds])) {
    try {
      found.set(row.project_id, { dataKey: createSecretKey(unwrapDataKey(masterKeys, row)) });
    } catch (error) {
      found.set(row.project_id, error instanceof Error ? error : new Error(String(error)));
    }
  }
  return found;
}

/** The key that encrypts is used for nothing else. */
function deriveKey(dataKey: KeyObject, projectId: string): KeyObject {
  const bytes = hkdfSync("sha256", dataKey, "", `EasyCron acknowledgement tokens\n${projectId}`, 32);
  return createSecretKey(Buffer.from(bytes));
}
