import { statement } from "../../db/statement.ts";

/** A calendar with its current version. Times are epoch milliseconds. */
export interface CalendarRow {
  readonly uid: string;
  readonly project_id: string;
  readonly name: string;
  readonly version: number;
  readonly create_time: number;
  readonly update_time: number;
  /** The zone, windows and dates of the version, as proto3 JSON text of easycron.v1.Calendar. */
  readonly spec: string;
  /** The zone data version that the hours are computed with. */
  readonly zone_data: string;
}

/** A calendar's current version, without its text. */
export interface CalendarVersionRow {
  readonly project_id: string;
  readonly name: string;
  readonly uid: string;
  readonly version: number;
}

const WITH_SPEC = `c.uid, c.project_id, c.name, c.version, c.create_time, c.update_time, v.spec::text as spec, v.zone_data
  from scheduler.calendars c join scheduler.calendar_versions v on v.calendar_uid = c.uid and v.version = c.version`;

/** Adds a calendar, at version 1: uid, project, name, time. */
export const calendarInsert = statement<{ uid: string }>(
  "calendarInsert",
  `insert into scheduler.calendars (uid, project_id, name, version, create_time, update_time)
   values ($1, $2, $3, 1, $4, $4) returning uid`,
);

/** Adds a version: calendar, version, JSON text, time, and the zone data version that its hours are computed with. */
export const calendarVersionInsert = statement<{ version: number }>(
  "calendarVersionInsert",
  `insert into scheduler.calendar_versions (calendar_uid, version, spec, create_time, zone_data)
   values ($1, $2, $3::json, $4, $5)
   returning version`,
);

/** Returns the calendar of project $1 with name $2, unless it is deleted. */
export const calendarByName = statement<CalendarRow>(
  "calendarByName",
  `select ${WITH_SPEC} where c.project_id = $1 and c.name = $2 and c.delete_time is null`,
);

/** Returns calendars of project $1 with names greater than $2: at most $3, by name, without deleted ones. */
export const calendarsAfterName = statement<CalendarRow>(
  "calendarsAfterName",
  `select ${WITH_SPEC} where c.project_id = $1 and c.name collate "C" > $2 and c.delete_time is null
   order by c.name collate "C" limit $3`,
);

/** Locks a calendar for a change. Other changes wait, and so do jobs that are about to refer to it. */
export const calendarLockForChange = statement<{ uid: string }>(
  "calendarLockForChange",
  `select uid from scheduler.calendars where project_id = $1 and name = $2 and delete_time is null
      for no key update`,
);

/** Makes a version the current one: uid, version, time. */
export const calendarRaiseVersion = statement<{ uid: string }>(
  "calendarRaiseVersion",
  `update scheduler.calendars set version = $2, update_time = $3 where uid = $1 returning uid`,
);

/** Deletes a calendar: uid, time. */
export const calendarDelete = statement<{ uid: string }>(
  "calendarDelete",
  `update scheduler.calendars set delete_time = $2, update_time = $2 where uid = $1 returning uid`,
);

/** Counts the jobs that refer to a calendar, and returns the first five of their names. Deleted jobs do not count. */
export const calendarUsers = statement<{ count: number; names: readonly string[] | null }>(
  "calendarUsers",
  `select count(*)::integer as count, (array_agg(j.name order by j.name collate "C"))[1:5] as names
     from scheduler.job_calendars jc join scheduler.jobs j on j.uid = jc.job_uid
    where jc.calendar_uid = $1 and j.state <> 'DELETED'`,
);

/** Returns the current versions of the calendars that the pairs of project and name stand for, without deleted ones. */
export const calendarVersions = statement<CalendarVersionRow>(
  "calendarVersions",
  `select c.project_id, c.name, c.uid, c.version
     from unnest($1::text[], $2::text[]) as wanted (project_id, name)
     join scheduler.calendars c on c.project_id = wanted.project_id and c.name = wanted.name
    where c.delete_time is null`,
);

/** Returns the texts of the given (calendar, version) pairs. */
export const calendarSpecs = statement<{ uid: string; version: number; spec: string; zone_data: string }>(
  "calendarSpecs",
  `select v.calendar_uid as uid, v.version, v.spec::text as spec, v.zone_data
     from unnest($1::text[], $2::integer[]) as wanted (calendar_uid, version)
     join scheduler.calendar_versions v using (calendar_uid, version)`,
);

/**
 * Returns the calendars of project $1 with names $2, without deleted ones, and locks them against changes and deletion
 * until the transaction ends. It always locks in the order of their uids, so that two callers cannot deadlock.
 */
export const calendarLockForReference = statement<CalendarVersionRow>(
  "calendarLockForReference",
  `select project_id, name, uid, version from scheduler.calendars
    where project_id = $1 and name = any ($2::text[]) and delete_time is null order by uid for share`,
);

/** Removes the references of jobs $1 to calendars, except the pairs of job $2 and calendar $3. */
export const jobCalendarsDeleteOthers = statement<{ job_uid: string }>(
  "jobCalendarsDeleteOthers",
  `delete from scheduler.job_calendars
    where job_uid = any ($1::text[])
      and (job_uid, calendar_uid) not in (select * from unnest($2::text[], $3::text[]))
   returning job_uid`,
);

/** Adds references: job, calendar, and the version that the job is up to date with. */
export const jobCalendarsInsert = statement<{ job_uid: string }>(
  "jobCalendarsInsert",
  `insert into scheduler.job_calendars (job_uid, calendar_uid, version)
   select * from unnest($1::text[], $2::text[], $3::integer[])
   on conflict (job_uid, calendar_uid) do update set version = excluded.version returning job_uid`,
);

/** Asks for a pass over the jobs of calendars $1 that are behind, from $2 on. Of two such requests one pass is made. */
export const calendarAskSettling = statement<{ calendar_uid: string }>(
  "calendarAskSettling",
  `insert into scheduler.unsettled_calendars as u (calendar_uid, retry_time)
   select uid, $2 from unnest($1::text[]) as asked (uid) order by uid
   on conflict (calendar_uid) do update
      set asked = u.asked + 1, retry_time = least(u.retry_time, excluded.retry_time)
   returning calendar_uid`,
);

/**
 * Returns calendars for which a pass may begin at $1: at most $3, first those with a uid greater than $2, then the
 * others.
 */
export const calendarsToSettle = statement<{ uid: string }>(
  "calendarsToSettle",
  `select calendar_uid as uid from scheduler.unsettled_calendars
    where retry_time <= $1 order by calendar_uid <= $2, calendar_uid limit $3`,
);

/** Returns how often a pass over calendar $1 was asked for. No row: it is settled. */
export const calendarAsked = statement<{ asked: number }>(
  "calendarAsked",
  `select asked from scheduler.unsettled_calendars where calendar_uid = $1`,
);

/** Tries to keep other passes away from calendar $1 until the transaction ends. Returns whether it could. */
export const calendarTryToSettle = statement<{ taken: boolean }>(
  "calendarTryToSettle",
  `select pg_try_advisory_xact_lock(hashtextextended('scheduler.unsettled_calendars/' || $1, 0)) as taken`,
);

/** Ends the passes over calendar $1 if none was asked for since $2 and no job is behind. */
export const calendarSettled = statement<{ calendar_uid: string }>(
  "calendarSettled",
  `delete from scheduler.unsettled_calendars u
    where u.calendar_uid = $1 and u.asked = $2
      and not exists (select from scheduler.calendars c
                        join scheduler.job_calendars jc on jc.calendar_uid = c.uid and jc.version < c.version
                       where c.uid = $1)
   returning calendar_uid`,
);

/** Postpones the next pass over calendar $1 to $3, unless another was asked for since $2. */
export const calendarPostponeSettling = statement<{ calendar_uid: string }>(
  "calendarPostponeSettling",
  `update scheduler.unsettled_calendars set retry_time = $3 where calendar_uid = $1 and asked = $2
   returning calendar_uid`,
);

/** A job that is not up to date with a calendar, and the version that it is up to date with. */
export interface BehindRow {
  readonly uid: string;
  readonly version: number;
}

/** Returns jobs that are behind calendar $1: at most $4, by version and uid, after version $2 and uid $3. */
export const jobCalendarsBehind = statement<BehindRow>(
  "jobCalendarsBehind",
  `select jc.job_uid as uid, jc.version
     from scheduler.job_calendars jc
    where jc.calendar_uid = $1 and jc.version < (select version from scheduler.calendars where uid = $1)
      and (jc.version, jc.job_uid) > ($2::integer, $3)
    order by jc.version, jc.job_uid limit $4`,
);
