import { statement } from "../../db/statement.ts";

/** Reads the check value of the master key; no row before the first dispatcher has started. */
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

/** Reads the $1 oldest signing keys of all projects, oldest first. */
export const signingKeysOldest = statement<{ id: string; sealed_secret: Buffer }>(
  "signingKeysOldest",
  "select id, sealed_secret from dispatcher.signing_keys order by create_time, id limit $1",
);
