import { statement } from "../../db/statement.ts";

/**
 * A signing key of a project, and the version of the signing keys at which it was read. The key's columns are null if
 * the project has none.
 */
export interface SigningKeyRow {
  readonly version: number;
  readonly project_id: string;
  readonly id: string | null;
  readonly sealed_secret: Buffer | null;
}

/**
 * Adds a key (id $1, project $2, sealed secret $3, time $4), and raises the version, from which every dispatcher learns
 * that the keys have changed.
 */
export const signingKeyInsert = statement<{ version: number }>(
  "signingKeyInsert",
  `with added as (
     insert into dispatcher.signing_keys (id, project_id, sealed_secret, create_time) values ($1, $2, $3, $4)
   )
   update dispatcher.signing_keys_version set version = version + 1 returning version`,
);

/** Reads the version of the signing keys, which is how often they have changed. */
export const signingKeysVersion = statement<{ version: number }>(
  "signingKeysVersion",
  `select version from dispatcher.signing_keys_version`,
);

/**
 * Reads the newest keys of the projects $1, at most $2 of each, newest first, with the version at which they are read.
 * A project without a key has one row whose key columns are null.
 */
export const signingKeysByProject = statement<SigningKeyRow>(
  "signingKeysByProject",
  `select v.version, p.project_id, k.id, k.sealed_secret
     from dispatcher.signing_keys_version v
    cross join unnest($1::text[]) as p (project_id)
     left join lateral (
       select id, sealed_secret, create_time from dispatcher.signing_keys
        where project_id = p.project_id order by create_time desc, id desc limit $2
     ) k on true
    order by p.project_id, k.create_time desc, k.id desc`,
);
