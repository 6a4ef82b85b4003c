import { statement } from "../../db/statement.ts";

/**
 * Bounds how long the transaction waits for a lock, and how long it may idle, to 2 s each. What passes is SERVICE_UNAVAILABLE.
 * A change of signing keys needs it, because the changes of all projects wait for each other.
 */
export const dataKeyBoundWaits = statement(
  "dataKeyBoundWaits",
  `select set_config('lock_timeout', '2s', true), set_config('idle_in_transaction_session_timeout', '2s', true)`,
);

/** The data key of a project, sealed by a master key. */
export interface DataKeyRow {
  readonly project_id: string;
  readonly master_key_id: string;
  readonly wrapped_key: Buffer;
}

/** Reads the data keys of the projects $1. */
export const dataKeysRead = statement<DataKeyRow>(
  "dataKeysRead",
  `select project_id, master_key_id, wrapped_key from dispatcher.data_keys where project_id = any($1::text[])`,
);

/** Reads the data key of project $1 and locks it, which makes changes of the project's signing keys wait for each other. */
export const dataKeyLock = statement<DataKeyRow>(
  "dataKeyLock",
  `select project_id, master_key_id, wrapped_key from dispatcher.data_keys where project_id = $1 for update`,
);

/** Adds the data key of project $1, sealed ($3) by the master key $2, unless the project has one. */
export const dataKeyInsertIfNone = statement(
  "dataKeyInsertIfNone",
  `insert into dispatcher.data_keys (project_id, master_key_id, wrapped_key, keys_version, create_time)
   select $1, $2, $3, version, now() from dispatcher.signing_keys_version
   on conflict (project_id) do nothing`,
);

/**
 * Records that the signing keys of project $1 have changed. Raises the version, from which every dispatcher learns that
 * it must read them again. Changes of all projects take turns from here to the end of their transactions.
 */
export const dataKeyNoteChange = statement<{ keys_version: number }>(
  "dataKeyNoteChange",
  `with raised as (
     update dispatcher.signing_keys_version set version = version + 1 returning version
   )
   update dispatcher.data_keys d set keys_version = r.version from raised r where d.project_id = $1
   returning d.keys_version`,
);

/** Lists at most $2 projects whose signing keys have changed since version $1. */
export const dataKeysChanged = statement<{ project_id: string; keys_version: number }>(
  "dataKeysChanged",
  `select project_id, keys_version from dispatcher.data_keys where keys_version > $1 order by keys_version limit $2`,
);

/**
 * Reads and locks at most $3 data keys that another master key than $1 seals, of the projects after $2. Leaves out those
 * that another transaction has locked.
 */
export const dataKeysOfOthers = statement<DataKeyRow>(
  "dataKeysOfOthers",
  `select project_id, master_key_id, wrapped_key from dispatcher.data_keys
    where project_id > $2 and (master_key_id < $1 or master_key_id > $1)
    order by project_id limit $3 for update skip locked`,
);

/** Replaces the sealed data keys of the projects $2 by those of $3, in hexadecimal, which the master key $1 seals. */
export const dataKeysRewrap = statement(
  "dataKeysRewrap",
  `update dispatcher.data_keys d set master_key_id = $1, wrapped_key = decode(n.wrapped_key, 'hex')
     from unnest($2::text[], $3::text[]) as n (project_id, wrapped_key)
    where d.project_id = n.project_id`,
);

/** Counts the data keys by the master key that seals them. */
export const dataKeysByMasterKey = statement<{ master_key_id: string; count: number }>(
  "dataKeysByMasterKey",
  `select master_key_id, count(*)::integer as count from dispatcher.data_keys group by master_key_id`,
);
