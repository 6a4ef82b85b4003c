import { statement } from "../../db/statement.ts";

/** What a request id was first used for. */
export interface RequestRow {
  readonly fingerprint: Buffer;
  readonly job_uid: string;
  readonly fire_time: number | null;
  readonly operation_uid: string | null;
}

/** Remembers a request id; no row comes back if it is remembered already. */
export const requestInsertIfNew = statement<{ request_id: string }>(
  "requestInsertIfNew",
  `insert into scheduler.requests (project_id, request_id, fingerprint, job_uid, fire_time, create_time, operation_uid)
   values ($1, $2, $3, $4, $5, $6, $7) on conflict (project_id, request_id) do nothing returning request_id`,
);

/** The first use of a request id. */
export const requestById = statement<RequestRow>(
  "requestById",
  `select fingerprint, job_uid, fire_time, operation_uid from scheduler.requests where project_id = $1 and request_id = $2`,
);

/** Forgets request ids first used before $1, at most 10,000 at a time. */
export const requestDeleteOlder = statement<{ request_id: string }>(
  "requestDeleteOlder",
  `delete from scheduler.requests where (project_id, request_id) in
     (select project_id, request_id from scheduler.requests where create_time < $1 limit 10000)
   returning request_id`,
);
