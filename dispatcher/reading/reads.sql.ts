import { statement } from "../../db/statement.ts";
import type { TriggerKindName } from "../waiting/held-trigger.ts";

/** The state of a trigger, as stored in PostgreSQL. */
export type TriggerStateName = "PENDING" | "RUNNING" | "RETRYING" | "SUCCEEDED" | "EXHAUSTED" | "CANCELLED";

/** The columns of dispatcher.triggers that customers see. Times are epoch milliseconds. */
export interface TriggerView {
  readonly id: string;
  readonly fire_time: number;
  readonly effective_time: number;
  readonly due_time: number;
  readonly job_uid: string;
  readonly job_name: string;
  readonly revision: number;
  readonly kind: TriggerKindName;
  readonly state: TriggerStateName;
  readonly seq: number;
  readonly attempt_count: number;
  readonly create_time: number;
  readonly start_time: number | null;
  readonly end_time: number | null;
  readonly zone_data: string;
}

/** The columns of dispatcher.attempts that customers see. Times are epoch milliseconds. */
export interface AttemptView {
  readonly id: string;
  readonly number: number;
  readonly outcome: "SUCCEEDED" | "REJECTED" | "NOT_SENT" | "UNKNOWN";
  readonly start_time: number;
  readonly duration_ms: number;
  readonly status_code: number | null;
  readonly error: string;
  readonly response_body: string;
}

const COLUMNS = `t.id, t.fire_time, t.effective_time, t.due_time, t.job_uid, t.job_name, t.revision, t.kind, t.state,
  t.seq, t.attempt_count, t.create_time, t.start_time, t.end_time, t.zone_data`;

/**
 * Reads trigger $1 of project $2. It finds the row by id alone and checks the project afterwards. With both conditions
 * in one query, PostgreSQL might search the index of the project's triggers instead.
 */
export const triggerById = statement<TriggerView>(
  "triggerById",
  `with found as materialized (select ${COLUMNS}, t.project_id from dispatcher.triggers t where t.id = $1)
   select * from found where project_id = $2`,
);

/**
 * Lists at most $7 triggers of project $1, newest nominal time first: in state $2 if that is not null, with nominal
 * times from $3 and before $4, after the cursor ($5, $6) of nominal time and id.
 */
export const triggerListByProject = statement<TriggerView>(
  "triggerListByProject",
  `select ${COLUMNS} from dispatcher.triggers t
    where t.project_id = $1 and ($2::text is null or t.state = $2) and t.fire_time >= $3 and t.fire_time < $4
      and t.fire_time <= $5 and (t.fire_time, t.id) < ($5, $6)
    order by t.fire_time desc, t.id desc limit $7`,
);

/**
 * Like triggerListByProject, but only triggers of the jobs $8. A job belongs to one project, so the project may be
 * checked after the inner limit.
 */
export const triggerListByJobs = statement<TriggerView>(
  "triggerListByJobs",
  `select t.* from unnest($8::text[]) as job (uid)
    cross join lateral (
      select ${COLUMNS}, t.project_id from dispatcher.triggers t
       where t.job_uid = job.uid and ($2::text is null or t.state = $2)
         and t.fire_time >= $3 and t.fire_time < $4 and t.fire_time <= $5 and (t.fire_time, t.id) < ($5, $6)
       order by t.fire_time desc, t.id desc limit $7
    ) t
   where t.project_id = $1
   order by t.fire_time desc, t.id desc limit $7`,
);

/** Lists the ended attempts of trigger $1, whose nominal time is $2, first attempt first. */
export const attemptListByTrigger = statement<AttemptView>(
  "attemptListByTrigger",
  `select id, number, outcome, start_time, duration_ms, status_code, error, response_body
     from dispatcher.attempts where trigger_id = $1 and fire_time = $2 order by number`,
);
