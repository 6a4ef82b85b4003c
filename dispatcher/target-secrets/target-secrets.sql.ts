import { statement } from "../../db/statement.ts";
import type { DataKeyRow } from "../signing-keys/data-keys.sql.ts";

/** Adds the secrets $2 of project $1, sealed in $3, in hexadecimal, at $4. Leaves those that it has already. */
export const targetSecretsInsert = statement(
  "targetSecretsInsert",
  `insert into dispatcher.target_secrets (project_id, id, sealed_secret, create_time)
   select $1, n.id, decode(n.sealed_secret, 'hex'), $4
     from unnest($2::text[], $3::text[]) as n (id, sealed_secret)
    order by n.id
   on conflict (project_id, id) do nothing`,
);

/** Reads secret $2 of project $1 with the project's data key. */
export const targetSecretById = statement<DataKeyRow & { readonly sealed_secret: Buffer }>(
  "targetSecretById",
  `select d.project_id, d.master_key_id, d.wrapped_key, s.sealed_secret
     from dispatcher.target_secrets s
     join dispatcher.data_keys d on d.project_id = s.project_id
    where s.project_id = $1 and s.id = $2`,
);
