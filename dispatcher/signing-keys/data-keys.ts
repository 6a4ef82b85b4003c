import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { Database, Queryable } from "../../db/pool.ts";
import { type DataKeyRow, dataKeyInsertIfNone, dataKeyLock, dataKeysRead } from "./data-keys.sql.ts";
import { masterKeyRead } from "./master-key.sql.ts";
import type { MasterKey, MasterKeys } from "./master-keys.ts";
import { open, seal } from "./sealed.ts";

/** The parts of a data key's row that decide whether it can be opened. */
export type WrappedKey = Pick<DataKeyRow, "project_id" | "master_key_id" | "wrapped_key">;

/** Seals the 32 bytes of a project's data key with a master key, and binds them to both. */
export function wrapDataKey(masterKey: MasterKey, projectId: string, bytes: Uint8Array): Buffer {
  return seal(masterKey.key, contextOf(projectId, masterKey.id), bytes);
}

/** Opens what `wrapDataKey` returned. Throws if this dispatcher does not have the master key, or anything was changed. */
export function unwrapDataKey(
  masterKeys: Pick<MasterKeys, "get">,
  { project_id, master_key_id, wrapped_key }: WrappedKey,
): Buffer {
  return open(masterKeys.get(master_key_id).key, contextOf(project_id, master_key_id), wrapped_key);
}

/**
 * Returns the data key of a project, or undefined if it has none. Waits for no lock: a data key never changes, only the
 * master key that seals it does. Throws like `unwrapDataKey`, and SERVICE_UNAVAILABLE.
 */
export async function readDataKey(
  database: Queryable,
  masterKeys: Pick<MasterKeys, "get">,
  projectId: string,
): Promise<KeyObject | undefined> {
  const [row] = await database.query(dataKeysRead, [[projectId]]);
  return row === undefined ? undefined : createSecretKey(unwrapDataKey(masterKeys, row));
}

/** Like `readDataKey`, but makes the data key if the project has none. Only then it waits for a lock. */
export async function readOrMakeDataKey(
  database: Database,
  masterKeys: MasterKeys,
  projectId: string,
): Promise<KeyObject> {
  return (await readDataKey(database, masterKeys, projectId)) ?? makeDataKey(database, masterKeys, projectId);
}

/** Makes the data key of a project unless it has one, and returns it. Throws like `lockDataKey`. */
export function makeDataKey(
  database: Database,
  masterKeys: MasterKeys,
  projectId: string,
): Promise<KeyObject> {
  return database.transaction((tx) => lockDataKey(tx, masterKeys, projectId));
}

/**
 * Locks the data key of a project until the transaction ends, and returns it; makes it if the project has none. Changes
 * of a project's signing keys wait for each other here. Throws like `unwrapDataKey`, and SERVICE_UNAVAILABLE.
 */
export async function lockDataKey(
  tx: Queryable,
  masterKeys: MasterKeys,
  projectId: string,
): Promise<KeyObject> {
  const [known] = await tx.query(dataKeyLock, [projectId]);
  if (known !== undefined) return createSecretKey(unwrapDataKey(masterKeys, known));
  const [recorded] = await tx.query(masterKeyRead);
  const masterKey = masterKeys.get(recorded?.key_id ?? "");
  const wrapped = wrapDataKey(masterKey, projectId, randomBytes(32));
  await tx.query(dataKeyInsertIfNone, [projectId, masterKey.id, wrapped]);
  // Another transaction may have been first.
  const [made] = await tx.query(dataKeyLock, [projectId]);
  if (made === undefined) throw new Error(`The data key of ${projectId} was removed while it was made.`);
  return createSecretKey(unwrapDataKey(masterKeys, made));
}

function contextOf(projectId: string, masterKeyId: string): string {
  return `EasyCron data key\n${projectId}\n${masterKeyId}`;
}
