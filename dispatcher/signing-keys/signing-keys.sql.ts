import { statement } from "../../db/statement.ts";

/** A project's key, or null where it has none, and the version of the keys that this belongs to. */
export interface SigningKeyRow {
  readonly version: number;
  readonly project_id: string;
  readonly id: string | null;
  readonly sealed_secret: Buffer | null;
}

/** Adds a key (id, project, sealed secret, time) and tells every dispatcher that the keys have changed. */
export const signingKeyInsert = statement<{ version: number }>(
  "signingKeyInsert",
  `with added as (
     insert into dispatcher.signing_keys (id, project_id, sealed_secret, create_time) values ($1, $2, $3, $4)
   )
   update dispatcher.signing_keys_version set version = version + 1 returning version`,
);

/** How often the keys have changed. */
export const signingKeysVersion = statement<{ version: number }>(
  "signingKeysVersion",
  `select version from dispatcher.signing_keys_version`,
);

/**
 * The newest keys of the given projects, at most $2 of each, newest first, with the version they belong to. A
 * project without a key has one row of nulls.
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
