import { statement } from "../../db/statement.ts";
import type { DataKeyRow } from "../signing-keys/data-keys.sql.ts";

/** Counts those of the secrets $2 that project $1 has not stored, and reads how many it has stored. */
export const targetSecretsCount = statement<{ added: number; stored: number }>(
  "targetSecretsCount",
  `select count(*)::integer as added,
          coalesce((select secret_count from dispatcher.target_secret_counts where project_id = $1), 0) as stored
     from unnest($2::text[]) as w (id)
    where not exists (select from dispatcher.target_secrets s where s.project_id = $1 and s.id = w.id)`,
);

/** Adds the secrets $2 of project $1, sealed in $3, in hexadecimal, at $4, and counts them. Leaves those that it has already. */
export const targetSecretsInsert = statement(
  "targetSecretsInsert",
  `with added as (
     insert into dispatcher.target_secrets (project_id, id, sealed_secret, create_time)
     select $1, n.id, decode(n.sealed_secret, 'hex'), $4
       from unnest($2::text[], $3::text[]) as n (id, sealed_secret)
      order by n.id
     on conflict (project_id, id) do nothing returning id
   )
   insert into dispatcher.target_secret_counts as c (project_id, secret_count)
   select $1, count(*) from added having count(*) > 0
   on conflict (project_id) do update set secret_count = c.secret_count + excluded.secret_count`,
);

/** A secret with the data key of its project. */
export interface TargetSecretRow extends DataKeyRow {
  readonly id: string;
  readonly sealed_secret: Buffer;
}

/**
 * Reads the secrets $2, each of its project in $1, with the data keys of these projects. The limit of 1 keeps the planner
 * from making another join of it than one look-up in the index for each secret.
 */
export const targetSecretsById = statement<TargetSecretRow>(
  "targetSecretsById",
  `select d.project_id, d.master_key_id, d.wrapped_key, s.id, s.sealed_secret
     from unnest($1::text[], $2::text[]) as wanted (project_id, id)
    cross join lateral (
      select id, sealed_secret from dispatcher.target_secrets
       where project_id = wanted.project_id and id = wanted.id limit 1) as s
     join dispatcher.data_keys d on d.project_id = wanted.project_id`,
);
