import { statement } from "../../db/statement.ts";
import type { TriggerKindName } from "../waiting/held-trigger.ts";

/** How far a trigger has come, as PostgreSQL spells it. */
export type TriggerStateName = "PENDING" | "RUNNING" | "RETRYING" | "SUCCEEDED" | "EXHAUSTED" | "CANCELLED";

/** A row of dispatcher.triggers as customers see it. Times are epoch milliseconds. */
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

/** A row of dispatcher.attempts. */
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
 * One of the project's triggers. Found by id alone and then held against the project: with both conditions at once the
 * index of the project's triggers might be searched instead.
 */
export const triggerById = statement<TriggerView>(
  "triggerById",
  `with found as materialized (select ${COLUMNS}, t.project_id from dispatcher.triggers t where t.id = $1)
   select * from found where project_id = $2`,
);

/**
 * At most $7 of the project's triggers, newest nominal time first: in state $2 if that is not null, from $3 and before
 * $4, after the place ($5, $6).
 */
export const triggerListByProject = statement<TriggerView>(
  "triggerListByProject",
  `select ${COLUMNS} from dispatcher.triggers t
    where t.project_id = $1 and ($2::text is null or t.state = $2) and t.fire_time >= $3 and t.fire_time < $4
      and t.fire_time <= $5 and (t.fire_time, t.id) < ($5, $6)
    order by t.fire_time desc, t.id desc limit $7`,
);

/** As triggerListByProject, of the jobs $8 only. A job belongs to one project, so the wall may stand outside the limit. */
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

/** The attempts of a trigger that have ended, first to last. */
export const attemptListByTrigger = statement<AttemptView>(
  "attemptListByTrigger",
  `select id, number, outcome, start_time, duration_ms, status_code, error, response_body
     from dispatcher.attempts where trigger_id = $1 and fire_time = $2 order by number`,
);
