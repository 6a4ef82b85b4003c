import { statement } from "../../db/statement.ts";
import type { TriggerKindName, WaitingForName } from "../waiting/held-trigger.ts";

/** The state of a trigger, as stored in PostgreSQL. */
export type TriggerStateName =
  | "PENDING"
  | "RUNNING"
  | "RETRYING"
  | "ACCEPTED"
  | "SUCCEEDED"
  | "EXHAUSTED"
  | "CANCELLED";

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
  readonly waiting_for: WaitingForName | null;
  readonly waiting_since: number | null;
  /** How many attempts had started when it was last made due again. */
  readonly attempt_base: number;
  /** The attempt that was acknowledged last; null if none was. */
  readonly acknowledged_attempt: number | null;
  /** What it says. */
  readonly acknowledgement: "SUCCEEDED" | "FAILED" | "EXTENDED" | null;
  /** Its message. */
  readonly acknowledgement_message: string | null;
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
  /** As `toTimingText` writes it; null if nothing is known. */
  readonly timing: string | null;
  /** A JSON object of texts by lower-case name; null if none was kept. */
  readonly response_headers: string | null;
}

/** The columns of a `TriggerView`, of a table or subquery `t`. */
export const TRIGGER_COLUMNS = `t.id, t.fire_time, t.effective_time, t.due_time, t.job_uid, t.job_name, t.revision, t.kind, t.state,
  t.seq, t.attempt_count, t.create_time, t.start_time, t.end_time, t.zone_data, t.waiting_for, t.waiting_since,
  t.attempt_base, t.acknowledged_attempt, t.acknowledgement, t.acknowledgement_message`;

/**
 * Reads trigger $1 of project $2. It finds the row by id alone and checks the project afterwards. With both conditions
 * in one query, PostgreSQL might search the index of the project's triggers instead.
 */
export const triggerById = statement<TriggerView>(
  "triggerById",
  `with found as materialized (select ${TRIGGER_COLUMNS}, t.project_id from dispatcher.triggers t where t.id = $1)
   select * from found where project_id = $2`,
);

/**
 * Lists the ended attempts of trigger $1, whose nominal time is $2, first attempt first. A first attempt that succeeded is
 * in the row of the trigger, unless it has a row of its own: it may then be in both. A backfill and a replay give it a row
 * of its own, and leave its timing and headers with the trigger.
 */
export const attemptListByTrigger = statement<AttemptView>(
  "attemptListByTrigger",
  `select distinct on (number) id, number, outcome, start_time, duration_ms, status_code, error, response_body, timing,
          response_headers
     from (select a.id, a.number, a.outcome, a.start_time, a.duration_ms, a.status_code, a.error, a.response_body,
                  coalesce(a.timing, t.first_timing) as timing,
                  coalesce(a.response_headers, t.first_response_headers) as response_headers, true as has_row
             from dispatcher.attempts a
             left join dispatcher.triggers t on a.number = 1 and t.id = a.trigger_id and t.fire_time = a.fire_time
            where a.trigger_id = $1 and a.fire_time = $2
            union all
           select first_attempt_id, 1, 'SUCCEEDED', start_time, first_duration_ms, first_status_code, '',
                  first_response_body, first_timing, first_response_headers, false
             from dispatcher.triggers where id = $1 and fire_time = $2 and first_attempt_id is not null) as a
    order by number, has_row desc`,
);

/** How late the latest attempt of a trigger started, and the target's part of it, in milliseconds. */
export interface LatenessRow {
  readonly id: string;
  readonly total_ms: number;
  readonly theirs_ms: number;
}

/** Reads the lateness of the triggers $2 of project $1, whose nominal times are $3. */
export const latenessByTriggers = statement<LatenessRow>(
  "latenessByTriggers",
  "select id, total_ms, theirs_ms from dispatcher.lateness($1, $2::text[], $3::timestamptz[])",
);
