import { statement } from "../../db/statement.ts";

/** The state of an operation, as it is stored. */
export type OperationStateName = "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED";

/** The kind of an operation, as it is stored. */
export type OperationKindName = "BACKFILL" | "REPLAY";

/** A row of scheduler.operations, with the name of its job. Times are epoch milliseconds. */
export interface OperationRow {
  readonly uid: string;
  readonly project_id: string;
  readonly kind: OperationKindName;
  /** Empty for a replay of the whole project, as is job_name. */
  readonly job_uid: string;
  readonly job_name: string;
  readonly state: OperationStateName;
  readonly revision: number;
  readonly start_time: number;
  readonly end_time: number;
  readonly force: boolean;
  readonly max_per_second: number;
  readonly fire_time_count: number;
  readonly outside_calendar_count: number;
  readonly succeeded_count: number;
  readonly active_count: number;
  readonly trigger_count: number;
  readonly done_count: number;
  readonly left_out_count: number;
  /** The state of the triggers of a replay; null for a backfill. */
  readonly trigger_state: "EXHAUSTED" | "CANCELLED" | null;
  readonly last_fire_time: number | null;
  /** The last trigger that a replay has dealt with; null before the first, and for a backfill. */
  readonly last_trigger_id: string | null;
  readonly error: string;
  readonly create_time: number;
  readonly finish_time: number | null;
}

const COLUMNS = `o.uid, o.project_id, o.kind, coalesce(o.job_uid, '') as job_uid, coalesce(j.name, '') as job_name, o.state, o.revision, o.start_time, o.end_time,
  o.force, o.max_per_second, o.fire_time_count, o.outside_calendar_count, o.succeeded_count, o.active_count,
  o.trigger_count, o.done_count, o.left_out_count, o.trigger_state, o.last_fire_time, o.last_trigger_id,
  o.error, o.create_time, o.finish_time
  from scheduler.operations o left join scheduler.jobs j on j.uid = o.job_uid`;

/** Inserts a running operation. */
export const operationInsert = statement<{ uid: string }>(
  "operationInsert",
  `insert into scheduler.operations (uid, project_id, job_uid, state, revision, start_time, end_time, force,
     max_per_second, fire_time_count, outside_calendar_count, succeeded_count, active_count, trigger_count, wake_time,
     create_time)
   values ($1, $2, $3, 'RUNNING', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14) returning uid`,
);

/** Reads one operation of a project. */
export const operationByUid = statement<OperationRow>(
  "operationByUid",
  `select ${COLUMNS} where o.project_id = $1 and o.uid = $2`,
);

/** Reads a page of a project's operations, newest first: at most $3, with ids less than $2. */
export const operationsBefore = statement<OperationRow>(
  "operationsBefore",
  `select ${COLUMNS} where o.project_id = $1 and o.uid < $2 order by o.uid desc limit $3`,
);

/** Cancels a running operation of a project: uid $2, time $3. No row if it is not running. */
export const operationCancel = statement<{ uid: string }>(
  "operationCancel",
  `update scheduler.operations set state = 'CANCELLED', finish_time = $3, wake_time = null
    where project_id = $1 and uid = $2 and state = 'RUNNING' returning uid`,
);

/** Returns whether any operation is due at $1, also one that another scheduler has claimed. */
export const operationAnyDue = statement<{ any_due: boolean }>(
  "operationAnyDue",
  `select exists (select from scheduler.operations where wake_time <= $1) as any_due`,
);

/** Claims the operation that is due at $1 and has waited longest. Passes over those that another scheduler has claimed. */
export const operationClaimDue = statement<OperationRow>(
  "operationClaimDue",
  `select ${COLUMNS} where o.wake_time <= $1 order by o.wake_time limit 1 for no key update of o skip locked`,
);

/** Records the progress of a claimed operation: uid, last fire time, number of triggers added, time of the next chunk. */
export const operationAdvance = statement<{ uid: string }>(
  "operationAdvance",
  `update scheduler.operations set last_fire_time = $2, done_count = done_count + $3, wake_time = $4
    where uid = $1 returning uid`,
);

/** Finishes a claimed operation: uid, state, error, time. */
export const operationFinish = statement<{ uid: string }>(
  "operationFinish",
  `update scheduler.operations set state = $2, error = $3, finish_time = $4, wake_time = null
    where uid = $1 returning uid`,
);

/** Postpones the next chunk of a running operation: uid, until when. */
export const operationPostpone = statement<{ uid: string }>(
  "operationPostpone",
  `update scheduler.operations set wake_time = $2 where uid = $1 and state = 'RUNNING' returning uid`,
);

/** Reads the triggers of a job at fire times from $3 to $4, both inclusive, in order, at most $5. */
export const backfillTriggers = statement<{ fire_time: number; state: string }>(
  "backfillTriggers",
  `select fire_time, state from dispatcher.ledger_triggers($1, $2, $3, $4, $5)`,
);

/** Makes finished triggers of a job due again, with the job's revision $6 and name $7. Returns their fire times. */
export const backfillRedeliver = statement<{ fire_time: number }>(
  "backfillRedeliver",
  `select fire_time from dispatcher.redeliver($1, $2, $3::timestamptz[], $4, $5, $6, $7) as fire_time`,
);
