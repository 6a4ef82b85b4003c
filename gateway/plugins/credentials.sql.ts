import { statement } from "../../db/statement.ts";
import type { KindName } from "./kinds.ts";

/** Credentials of a plugin, without the password. Times are epoch milliseconds. */
export interface CredentialRow {
  readonly kind: KindName;
  readonly number: number;
  readonly username: string;
  /** Redis only. */
  readonly password_sha256: Buffer | null;
  readonly create_time: number;
  readonly expire_time: number | null;
}

/** Lists the credentials of a project ($1), of all kinds, that have not expired at the time ($2), newest first. */
export const credentialsValid = statement<CredentialRow>(
  "credentialsValid",
  `select kind, number, username, password_sha256, create_time, expire_time
     from gateway.plugin_credentials
    where project_id = $1 and (expire_time is null or expire_time > coalesce($2::timestamptz, now()))
    order by kind, number desc`,
);

/** Deletes the credentials of a plugin ($1, $2) but for these numbers ($3). */
export const credentialsKeepOnly = statement<{ number: number }>(
  "credentialsKeepOnly",
  `delete from gateway.plugin_credentials
    where project_id = $1 and kind = $2 and not number = any($3::integer[])
   returning number`,
);

/** Lets the credentials of a plugin ($1, $2) expire $3 milliseconds after the time ($4), if they do not expire before. */
export const credentialsExpire = statement<{ number: number }>(
  "credentialsExpire",
  `update gateway.plugin_credentials
      set expire_time = least(expire_time, coalesce($4::timestamptz, now()) + $3::bigint * interval '1 millisecond')
    where project_id = $1 and kind = $2
   returning number`,
);

/** Creates credentials of a plugin ($1, $2): number ($3), user name ($4), hash ($5). $6 is the time. */
export const credentialInsert = statement<{ number: number }>(
  "credentialInsert",
  `insert into gateway.plugin_credentials (project_id, kind, number, username, password_sha256, create_time)
   values ($1, $2, $3, $4, $5, coalesce($6::timestamptz, now()))
   returning number`,
);
