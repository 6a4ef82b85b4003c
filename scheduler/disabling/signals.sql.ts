import { statement } from "../../db/statement.ts";

/** What the dispatcher tells of the end of a trigger. Times are epoch milliseconds. */
export interface SignalRow {
  readonly trigger_id: string;
  readonly project_id: string;
  readonly job_uid: string;
  readonly fire_time: number;
  /** The revision that the trigger was delivered by. */
  readonly revision: number;
  /** The trigger is EXHAUSTED; or its receiver answered 410 (GONE), or with `webhook-delivery: disable` (RECEIVER). */
  readonly kind: "EXHAUSTED" | "GONE" | "RECEIVER";
  readonly end_time: number;
}

/** Lists the oldest signals, at most $1, without those of the jobs $2. */
export const signalsList = statement<SignalRow>(
  "signalsList",
  `select trigger_id, project_id, job_uid, fire_time, revision, kind, end_time
     from dispatcher.list_signals($1, $2::text[])`,
);

/** Takes the signals with the end times $1 and the triggers $2 out. Returns the triggers of those that it has taken. */
export const signalsTake = statement<{ trigger_id: string }>(
  "signalsTake",
  "select trigger_id from dispatcher.take_signals($1::timestamptz[], $2::text[]) as trigger_id",
);

/**
 * Reads how many triggers of job $2 of project $1 were exhausted after its last success, at most $5, if it has had a success
 * after $3; $4 is the fire time of its latest exhausted trigger. No row without such a success.
 */
export const exhaustedSinceSuccess = statement<{ exhausted_count: number; first_time: number | null }>(
  "exhaustedSinceSuccess",
  "select exhausted_count, first_time from dispatcher.exhausted_since_success($1, $2, $3, $4, $5)",
);
