import { statement } from "../../db/statement.ts";

/** Reads the id and the check value of the master key that seals; no row before the first dispatcher has started. */
export const masterKeyRead = statement<{ key_id: string; check_value: Buffer }>(
  "masterKeyRead",
  "select key_id, check_value from dispatcher.master_key",
);

/** Records the master key (id $1, check value $2) unless one is recorded already. */
export const masterKeyInsertIfNone = statement(
  "masterKeyInsertIfNone",
  `insert into dispatcher.master_key (key_id, check_value, create_time) values ($1, $2, now())
   on conflict (only_row) do nothing`,
);

/**
 * Makes the master key $1, with the check value $2, the one that seals, if every live dispatcher is configured with it.
 * Returns the id of the key that seals from now on, or null if none is recorded.
 */
export const masterKeyUse = statement<{ key_id: string | null }>(
  "masterKeyUse",
  "select dispatcher.use_master_key($1, $2) as key_id",
);

/** What there is to do about the master key. */
export interface MasterKeyState {
  /** The id of the key that seals. */
  readonly key_id: string;
  /** Whether there are signing keys that the master key itself has sealed. */
  readonly has_old_format: boolean;
  /** Whether another master key than `key_id` seals a data key. */
  readonly has_other: boolean;
}

/** Reads what there is to do about the master key; no row before the first dispatcher has started. */
export const masterKeyState = statement<MasterKeyState>(
  "masterKeyState",
  `select m.key_id,
          exists (select from dispatcher.signing_keys where substring(sealed_secret from 1 for 1) = '\\x01')
            as has_old_format,
          exists (select from dispatcher.data_keys where master_key_id < m.key_id)
            or exists (select from dispatcher.data_keys where master_key_id > m.key_id) as has_other
     from dispatcher.master_key m`,
);

/** A signing key whose secret the master key itself has sealed. */
export interface OldFormatRow {
  readonly id: string;
  readonly sealed_secret: Buffer;
}

/** Reads the $1 oldest signing keys of all projects that the master key itself has sealed, oldest first. */
export const signingKeysOldestOfOldFormat = statement<OldFormatRow>(
  "signingKeysOldestOfOldFormat",
  `select id, sealed_secret from dispatcher.signing_keys
    where substring(sealed_secret from 1 for 1) = '\\x01' order by create_time, id limit $1`,
);

/** Lists at most $2 projects after $1 that have signing keys which the master key itself has sealed. */
export const projectsWithOldFormat = statement<{ project_id: string }>(
  "projectsWithOldFormat",
  `select distinct project_id from dispatcher.signing_keys
    where substring(sealed_secret from 1 for 1) = '\\x01' and project_id > $1
    order by project_id limit $2`,
);

/** Reads the signing keys of project $1 that the master key itself has sealed. */
export const signingKeysOfOldFormat = statement<OldFormatRow>(
  "signingKeysOfOldFormat",
  `select id, sealed_secret from dispatcher.signing_keys
    where substring(sealed_secret from 1 for 1) = '\\x01' and project_id = $1`,
);

/** Replaces the sealed secret of signing key $2 of project $1 by $3. */
export const signingKeyReseal = statement(
  "signingKeyReseal",
  "update dispatcher.signing_keys set sealed_secret = $3 where project_id = $1 and id = $2",
);
