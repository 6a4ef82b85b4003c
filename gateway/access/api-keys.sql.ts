import { statement } from "../../db/statement.ts";

/*
 * PostgreSQL's clock decides when a key expires, so that all gateways agree.
 */

/** An API key without its secret. Times are epoch milliseconds. */
export interface ApiKeyRow {
  readonly id: string;
  readonly display_name: string;
  readonly secret_prefix: string;
  readonly create_time: number;
  readonly last_use_time: number | null;
  readonly expire_time: number | null;
  readonly revoke_time: number | null;
}

/** Creates an API key ($1) of a project ($2). Returns no row if the project does not exist. */
export const apiKeyInsert = statement<ApiKeyRow>(
  "apiKeyInsert",
  `insert into gateway.api_keys (id, project_id, display_name, secret_hash, secret_prefix, create_time)
   select $1, id, $3, $4, $5, now()
     from gateway.projects
    where id = $2
   returning id, display_name, secret_prefix, create_time, last_use_time, expire_time, revoke_time`,
);

/** What authentication reads of an API key and its project. */
export interface KnownKeyRow {
  readonly id: string;
  readonly project_id: string;
  readonly secret_hash: Buffer;
  readonly expire_time: number | null;
  readonly has_expired: boolean;
  readonly revoke_time: number | null;
  /** Whether the time of its last use is to be written again. */
  readonly is_use_old: boolean;
}

/** Finds an API key and its project by the SHA-256 of the secret, whether it is valid or not. */
export const apiKeyByHash = statement<KnownKeyRow>(
  "apiKeyByHash",
  `select k.id, p.id as project_id, k.secret_hash, k.expire_time, k.revoke_time,
          k.expire_time is not null and k.expire_time <= now() as has_expired,
          k.last_use_time is null or k.last_use_time < now() - interval '5 minutes' as is_use_old
     from gateway.api_keys k
     join gateway.projects p on p.id = k.project_id
    where k.secret_hash = $1`,
);

/**
 * Writes that a key is used now, unless a use within the last five minutes is written. Does nothing while another
 * gateway writes the key.
 */
export const apiKeyNoteUse = statement<{ id: string }>(
  "apiKeyNoteUse",
  `update gateway.api_keys
      set last_use_time = now()
    where id = (select id from gateway.api_keys
                 where id = $1 and (last_use_time is null or last_use_time < now() - interval '5 minutes')
                   for no key update skip locked)
   returning id`,
);

/** Lists at most $3 keys of a project ($1), newest first; $2 is the last id of the page before, or null. */
export const apiKeysBefore = statement<ApiKeyRow>(
  "apiKeysBefore",
  `select id, display_name, secret_prefix, create_time, last_use_time, expire_time, revoke_time
     from gateway.api_keys
    where project_id = $1 and ($2::text is null or id < $2)
    order by id desc
    limit $3`,
);

/** Returns when a key ended, or is to end. */
export const apiKeyEnds = statement<{ expire_time: number | null; revoke_time: number | null }>(
  "apiKeyEnds",
  `select expire_time, revoke_time from gateway.api_keys where id = $1`,
);

/**
 * Lets a key ($1) expire after $2 milliseconds, if it does not expire before, and creates the key that replaces it ($3,
 * with the hash $4 and the prefix $5 of its secret). Returns both keys, or no row if there is no such key, or it has
 * ended.
 */
export const apiKeyRotateIfValid = statement<ApiKeyRow>(
  "apiKeyRotateIfValid",
  `with old as (
     update gateway.api_keys
        set expire_time = least(expire_time, now() + $2::integer * interval '1 millisecond')
      where id = $1 and revoke_time is null and (expire_time is null or expire_time > now())
     returning *
   ), new as (
     insert into gateway.api_keys (id, project_id, display_name, secret_hash, secret_prefix, create_time)
     select $3, project_id, display_name, $4, $5, now() from old
     returning *
   )
   select id, display_name, secret_prefix, create_time, last_use_time, expire_time, revoke_time from old
   union all
   select id, display_name, secret_prefix, create_time, last_use_time, expire_time, revoke_time from new`,
);

/** Revokes a key. One that is revoked already stays as it is. Returns no row if there is no such key. */
export const apiKeyRevoke = statement<ApiKeyRow>(
  "apiKeyRevoke",
  `update gateway.api_keys
      set revoke_time = coalesce(revoke_time, now())
    where id = $1
   returning id, display_name, secret_prefix, create_time, last_use_time, expire_time, revoke_time`,
);
