import { statement } from "../../db/statement.ts";

/** Finds trigger $2 of project $1: its job, its fire time and its state. No row if there is none. */
export const replayFind = statement<{
  fire_time: number;
  job_uid: string;
  job_name: string;
  state: string;
}>("replayFind", "select fire_time, job_uid, job_name, state from dispatcher.find_trigger($1, $2)");

/**
 * Makes triggers $2 of project $1 due again at $8 whose fire times are $3, under the job's revisions $4 and names $5, all in
 * the same order: those that have ended in one of the states $6, at $7 at the latest. Returns their ids.
 */
export const replayTriggers = statement<{ id: string }>(
  "replayTriggers",
  `select id from dispatcher.replay($1, $2::text[], $3::timestamptz[], $4::integer[], $5::text[], $6::text[], $7, $8) as id`,
);

/**
 * Inserts a running replay of project $2: uid $1, job $3 (null for the whole project), from the fire time $4 on and before $5,
 * triggers in the state $8: at most $6 in a second, $7 triggers in all; at $9.
 */
export const replayInsert = statement<{ uid: string }>(
  "replayInsert",
  `insert into scheduler.operations (uid, project_id, job_uid, kind, state, revision, start_time, end_time, force,
     max_per_second, fire_time_count, outside_calendar_count, succeeded_count, active_count, trigger_count, trigger_state,
     wake_time, create_time)
   values ($1, $2, $3, 'REPLAY', 'RUNNING', 0, $4, $5, false, $6, $7, 0, 0, 0, $7, $8, $9, $9) returning uid`,
);

/** Waits until no other transaction starts a replay of project $1, and keeps others from it until this one ends. */
export const replayLockProject = statement<{ locked: string }>(
  "replayLockProject",
  "select pg_advisory_xact_lock(hashtext('scheduler.replays'), hashtext($1))::text as locked",
);

/** Counts the running replays of project $1. */
export const replayCountRunning = statement<{ count: number }>(
  "replayCountRunning",
  `select count(*)::integer as count from scheduler.operations
    where project_id = $1 and state = 'RUNNING' and kind = 'REPLAY'`,
);

/** Counts triggers of project $1, or of its job $2 if that is not null, in state $3 and from $4 on and before $5, up to $6. */
export const replayCount = statement<{ count: number }>(
  "replayCount",
  "select dispatcher.count_replayable($1, $2, $3, $4, $5, $6) as count",
);

/** A trigger that a replay may make due again. Times are epoch milliseconds. */
export interface ReplayableRow {
  readonly id: string;
  readonly fire_time: number;
  readonly job_uid: string;
  readonly end_time: number;
}

/** Lists such triggers after the place of fire time $6 and id $7, earliest first, at most $8. */
export const replayList = statement<ReplayableRow>(
  "replayList",
  "select id, fire_time, job_uid, end_time from dispatcher.replayable($1, $2, $3, $4, $5, $6, $7, $8)",
);

/**
 * Records the progress of replay $1: the fire time and the id of the last trigger dealt with, how many more triggers were
 * replayed and left out, and the time of the next chunk.
 */
export const replayAdvance = statement<{ uid: string }>(
  "replayAdvance",
  `update scheduler.operations set last_fire_time = $2, last_trigger_id = $3, done_count = done_count + $4,
          left_out_count = left_out_count + $5, wake_time = $6
    where uid = $1 returning uid`,
);

/** Returns those of the jobs $2 of project $1 that are not deleted. Locks none. */
export const replayLivingJobs = statement<{ uid: string }>(
  "replayLivingJobs",
  "select uid from scheduler.jobs where project_id = $1 and uid = any ($2::text[]) and state <> 'DELETED'",
);
