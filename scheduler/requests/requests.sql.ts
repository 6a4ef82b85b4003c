import { statement } from "../../db/statement.ts";

/** The first use of a request id, with what it created or ran. */
export interface RequestRow {
  readonly fingerprint: Buffer;
  readonly job_uid: string;
  readonly fire_time: number | null;
  readonly operation_uid: string | null;
}

/** Records a request id. Returns no row if it is recorded already. */
export const requestInsertIfNew = statement<{ request_id: string }>(
  "requestInsertIfNew",
  `insert into scheduler.requests (project_id, request_id, fingerprint, job_uid, fire_time, create_time, operation_uid)
   values ($1, $2, $3, $4, $5, $6, $7) on conflict (project_id, request_id) do nothing returning request_id`,
);

/** Returns the first use of request id $2 in project $1. */
export const requestById = statement<RequestRow>(
  "requestById",
  `select fingerprint, job_uid, fire_time, operation_uid from scheduler.requests where project_id = $1 and request_id = $2`,
);

/** Deletes request ids first used before $1, at most 10,000 at a time. */
export const requestDeleteOlder = statement<{ request_id: string }>(
  "requestDeleteOlder",
  `delete from scheduler.requests where (project_id, request_id) in
     (select project_id, request_id from scheduler.requests where create_time < $1 limit 10000)
   returning request_id`,
);
