import { createSecretKey, type KeyObject } from "node:crypto";
import { isItemFault } from "../../db/item-fault.ts";
import type { Queryable } from "../../db/pool.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import { unwrapDataKey } from "../signing-keys/data-keys.ts";
import type { MasterKeys } from "../signing-keys/master-keys.ts";
import { createFairCache } from "./fair-cache.ts";
import { gatherReads } from "./gathered-reads.ts";
import { openTargetSecret } from "./seal-secrets.ts";
import { type TargetSecretRow, targetSecretsById } from "./target-secrets.sql.ts";

/** Which secret: the project that it belongs to, and its id. */
export interface SecretKey {
  readonly projectId: string;
  /** sec_…. */
  readonly id: string;
}

/** A cache of the secrets of targets. A secret with an id never changes, so a cached one is never outdated. */
export interface TargetSecrets {
  /** Returns the secret if it is in the cache. */
  get(key: SecretKey): string | undefined;
  /**
   * Reads the secret. Calls at the same time share a statement; projects take turns in it. Throws SERVICE_UNAVAILABLE, and
   * another error if there is no such secret or it cannot be decrypted.
   */
  load(key: SecretKey): Promise<string>;
}

/** What the cache needs. */
export interface TargetSecretsParts {
  readonly database: Queryable;
  readonly masterKeys: Pick<MasterKeys, "get">;
}

/** Most secrets of one statement. They are at most 3.2 MiB (MAX_SECRET_BYTES each). */
const BATCH = 200;
/** One connection of the pool stays free for the keys of tokens. */
const STATEMENTS_AT_ONCE = 1;

/** Makes a cache of roughly `maxBytes`. When it is full, a project that has much loses what it has read first. */
export function createTargetSecrets(parts: TargetSecretsParts, maxBytes: number): TargetSecrets {
  const known = createFairCache<string>(maxBytes, ({ length }) => length);
  const reads = gatherReads<SecretKey, string>({
    read: async (keys) => {
      const found = await read(parts, keys);
      for (const key of keys) {
        const secret = found.get(nameOf(key));
        if (typeof secret === "string") known.set(key.projectId, key.id, secret);
      }
      return found;
    },
    nameOf,
    ownerOf: ({ projectId }) => projectId,
    most: BATCH,
    atOnce: STATEMENTS_AT_ONCE,
  });
  return {
    get: ({ projectId, id }) => known.get(projectId, id),
    load: reads.load,
  };
}

/** Returns each secret, or why it cannot be read, by its name. One that is damaged does not keep back the others. */
async function read(
  { database, masterKeys }: TargetSecretsParts,
  keys: readonly SecretKey[],
): Promise<Map<string, string | Error>> {
  const readPart = (part: readonly SecretKey[]) =>
    database.query(targetSecretsById, [part.map(({ projectId }) => projectId), part.map(({ id }) => id)]);
  const { results, failed } = await takeApart(keys, readPart, { isItemFault });
  const missing = ({ projectId, id }: SecretKey) =>
    new Error(`The project ${projectId} has no secret ${id}.`);
  const found = new Map<string, string | Error>(keys.map((key) => [nameOf(key), missing(key)]));
  for (const { item, error } of failed) found.set(nameOf(item), toError(error));
  const dataKeyOf = createUnwrapping(masterKeys);
  for (const row of results.flat()) {
    const key = { projectId: row.project_id, id: row.id };
    found.set(nameOf(key), openRow(dataKeyOf, key, row));
  }
  return found;
}

function openRow(
  dataKeyOf: (row: TargetSecretRow) => KeyObject,
  key: SecretKey,
  row: TargetSecretRow,
): string | Error {
  try {
    return openTargetSecret(dataKeyOf(row), key, row.sealed_secret);
  } catch (error) {
    return toError(error);
  }
}

/** Returns a function that opens the data key of each project once. */
function createUnwrapping(masterKeys: Pick<MasterKeys, "get">): (row: TargetSecretRow) => KeyObject {
  const opened = new Map<string, KeyObject>();
  return (row) => {
    const known = opened.get(row.project_id);
    if (known !== undefined) return known;
    const dataKey = createSecretKey(unwrapDataKey(masterKeys, row));
    opened.set(row.project_id, dataKey);
    return dataKey;
  };
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function nameOf({ projectId, id }: SecretKey): string {
  return `${projectId}/${id}`;
}
