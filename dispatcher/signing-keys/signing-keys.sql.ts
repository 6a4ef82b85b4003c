import { statement } from "../../db/statement.ts";
import type { Algorithm } from "./signing-secret.ts";

/**
 * A signing key that has not ended, the data key of its project, and the version of the signing keys at which they were
 * read. The key's columns are null if the project has none.
 */
export interface LiveKeyRow {
  readonly version: number;
  readonly project_id: string;
  readonly master_key_id: string | null;
  readonly wrapped_key: Buffer | null;
  readonly id: string | null;
  readonly algorithm: Algorithm | null;
  readonly sealed_secret: Buffer | null;
  readonly expire_time: number | null;
}

/** Reads the version of the signing keys, which is how often they have changed. */
export const signingKeysVersion = statement<{ version: number }>(
  "signingKeysVersion",
  `select version from dispatcher.signing_keys_version`,
);

/**
 * Reads the keys of the projects $1 that have not ended at $3, at most $2 of each, newest first, with the version at
 * which they are read. A project without a key has one row whose key columns are null.
 */
export const signingKeysByProject = statement<LiveKeyRow>(
  "signingKeysByProject",
  `select v.version, p.project_id, d.master_key_id, d.wrapped_key, k.id, k.algorithm, k.sealed_secret, k.expire_time
     from dispatcher.signing_keys_version v
    cross join unnest($1::text[]) as p (project_id)
     left join dispatcher.data_keys d on d.project_id = p.project_id
     left join lateral (
       select id, algorithm, sealed_secret, expire_time, create_time from dispatcher.signing_keys
        where project_id = p.project_id and revoke_time is null and (expire_time is null or expire_time > $3)
        order by create_time desc, id desc limit $2
     ) k on true
    order by p.project_id, k.create_time desc, k.id desc`,
);

/** A signing key without its secret. Times are epoch milliseconds. */
export interface SigningKeyRow {
  readonly id: string;
  readonly algorithm: Algorithm;
  readonly public_key: string | null;
  readonly create_time: number;
  readonly expire_time: number | null;
  readonly revoke_time: number | null;
}

/** Reads signing key $2 of project $1. */
export const signingKeyById = statement<SigningKeyRow>(
  "signingKeyById",
  `select id, algorithm, public_key, create_time, expire_time, revoke_time
     from dispatcher.signing_keys where project_id = $1 and id = $2`,
);

/**
 * Lists at most $4 signing keys of a project ($1), newest first, as they sign. $2 and $3 are the create time and the id of
 * the last key of the page before, or null.
 */
export const signingKeysBefore = statement<SigningKeyRow>(
  "signingKeysBefore",
  `select id, algorithm, public_key, create_time, expire_time, revoke_time
     from dispatcher.signing_keys
    where project_id = $1 and ($3::text is null or (create_time, id) < ($2::timestamptz, $3))
    order by create_time desc, id desc
    limit $4`,
);

/** Lists the signing keys of project $1 that have not ended at $2. */
export const signingKeysLive = statement<{ id: string; algorithm: Algorithm; expire_time: number | null }>(
  "signingKeysLive",
  `select id, algorithm, expire_time from dispatcher.signing_keys
    where project_id = $1 and revoke_time is null and (expire_time is null or expire_time > $2)`,
);

/** Adds a key: id $1, project $2, algorithm $3, public key $4, sealed secret $5, time $6. Returns it. */
export const signingKeyInsert = statement<SigningKeyRow>(
  "signingKeyInsert",
  `insert into dispatcher.signing_keys (id, project_id, algorithm, public_key, sealed_secret, create_time)
   values ($1, $2, $3, $4, $5, $6)
   returning id, algorithm, public_key, create_time, expire_time, revoke_time`,
);

/** Lets key $2 of project $1 expire at $3, if it does not expire before. Returns it. */
export const signingKeyExpire = statement<SigningKeyRow>(
  "signingKeyExpire",
  `update dispatcher.signing_keys set expire_time = least(expire_time, $3)
    where project_id = $1 and id = $2
   returning id, algorithm, public_key, create_time, expire_time, revoke_time`,
);

/** Revokes key $2 of project $1 at $3. Returns it. */
export const signingKeyRevoke = statement<SigningKeyRow>(
  "signingKeyRevoke",
  `update dispatcher.signing_keys set revoke_time = $3
    where project_id = $1 and id = $2
   returning id, algorithm, public_key, create_time, expire_time, revoke_time`,
);

/** Removes the keys of project $1 that have ended at $2, but for the newest $3. */
export const signingKeysForget = statement(
  "signingKeysForget",
  `delete from dispatcher.signing_keys
    where project_id = $1
      and id in (select id from dispatcher.signing_keys
                  where project_id = $1 and (revoke_time is not null or expire_time <= $2)
                  order by create_time desc, id desc offset $3)`,
);
