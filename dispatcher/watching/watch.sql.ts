import { statement } from "../../db/statement.ts";

/** An epoch of a job, with what its job's row says. Times are epoch milliseconds. */
export interface WatchedEpochRow {
  readonly job_uid: string;
  readonly job_name: string;
  readonly job_state: string;
  readonly pause_until: number | null;
  readonly last_fire_time: number | null;
  /** The future fire times that are to be skipped, as the scheduler stores them. */
  readonly requested: unknown;
  readonly state: "ACTIVE" | "PAUSED" | "DISABLED" | "DELETED";
  readonly revision: number;
  readonly after_time: number;
  readonly end_time: number | null;
}

/** Reads the epochs of the jobs $1 that fire times after $2 belong to, in order. The last one of each job is in effect. */
export const watchEpochs = statement<WatchedEpochRow>(
  "watchEpochs",
  `select job_uid, job_name, job_state, pause_until, last_fire_time, requested, state, revision, after_time, end_time
     from scheduler.watched_epochs($1::text[], $2::timestamptz[])`,
);

/** A range of fire times that made no trigger. Times are epoch milliseconds. */
export interface WatchedSkipRow {
  readonly job_uid: string;
  readonly first_fire_time: number;
  readonly last_fire_time: number;
  readonly verdict: "SKIPPED" | "MISSED";
}

/** Reads the skipped and missed ranges of the jobs $1 from $2 to $3. */
export const watchSkips = statement<WatchedSkipRow>(
  "watchSkips",
  `select job_uid, first_fire_time, last_fire_time, verdict
     from scheduler.watched_skips($1::text[], $2::timestamptz[], $3::timestamptz[])`,
);

/** A version of a calendar. Times are epoch milliseconds. */
export interface WatchedCalendarRow {
  readonly name: string;
  readonly create_time: number;
  /** Exclusive; null while the version is in effect. */
  readonly until_time: number | null;
  readonly spec: string;
}

/** Reads the versions of the project's calendars $2 that were in effect at $3 or later. */
export const watchCalendars = statement<WatchedCalendarRow>(
  "watchCalendars",
  `select name, create_time, until_time, spec from scheduler.watched_calendars($1, $2::text[], $3)`,
);

/** The trigger of a fire time. Times are epoch milliseconds. */
export interface WatchedTriggerRow {
  readonly job_uid: string;
  readonly id: string;
  readonly fire_time: number;
  readonly state: string;
  readonly end_time: number | null;
  readonly attempts: number;
}

/** Reads the triggers of jobs and fire times, in pairs $1 and $2, without those of manual runs. */
export const watchTriggers = statement<WatchedTriggerRow>(
  "watchTriggers",
  `select t.job_uid, t.id, t.fire_time, t.state, t.end_time, t.attempt_count - t.attempt_base as attempts
     from unnest($1::text[], $2::timestamptz[]) as w (job_uid, fire_time)
    cross join lateral (
      select * from dispatcher.triggers t
       where t.job_uid = w.job_uid and t.fire_time = w.fire_time and t.kind <> 'MANUAL' limit 1) as t`,
);
