import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import type { Database, Queryable } from "../../db/pool.ts";
import { lockDataKey, unwrapDataKey } from "../signing-keys/data-keys.ts";
import type { MasterKeys } from "../signing-keys/master-keys.ts";
import { tokenDataKey } from "./tokens.sql.ts";

/**
 * The keys of acknowledgement tokens, one for each project. A key is derived from the project's data key, which stays the
 * same when the master key is replaced. So a token is valid in every dispatcher, and after a restart.
 */
export interface TokenKeys {
  /** Returns the key of a project if it is in memory. */
  get(projectId: string): KeyObject | undefined;
  /** Reads the key of a project; makes its data key if it has none. Throws like `lockDataKey`. */
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
  return {
    get: (projectId) => known.get(projectId),
    load: (projectId) => {
      const running = loading.get(projectId);
      if (running !== undefined) return running;
      const started = database
        .transaction((tx) => lockDataKey(tx, masterKeys, projectId))
        .then((dataKey) => keep(projectId, dataKey))
        .finally(() => loading.delete(projectId));
      loading.set(projectId, started);
      return started;
    },
    find: async (by, projectId) => {
      const key = known.get(projectId);
      if (key !== undefined) return key;
      const [row] = await by.query(tokenDataKey, [projectId]);
      return row === undefined ? undefined : keep(projectId, createSecretKey(unwrapDataKey(masterKeys, row)));
    },
  };
}

/** The key that encrypts is used for nothing else. */
function deriveKey(dataKey: KeyObject, projectId: string): KeyObject {
  const bytes = hkdfSync("sha256", dataKey, "", `EasyCron acknowledgement tokens\n${projectId}`, 32);
  return createSecretKey(Buffer.from(bytes));
}
