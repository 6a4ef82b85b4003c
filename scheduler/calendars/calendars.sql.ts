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

/**
 * Returns jobs that have not been settled since one of their calendars changed: at most $1, by uid, without deleted
 * ones; only those that refer to calendar $2 if that is not null.
 */
export const jobCalendarsBehind = statement<{
  uid: string;
  project_id: string;
  name: string;
}>(
  "jobCalendarsBehind",
  `select distinct j.uid, j.project_id, j.name
     from scheduler.calendars c
     join scheduler.job_calendars jc on jc.calendar_uid = c.uid and jc.version < c.version
     join scheduler.jobs j on j.uid = jc.job_uid
    where c.delete_time is null and j.state <> 'DELETED' and ($2::text is null or c.uid = $2)
    order by j.uid limit $1`,
);

/** Records that job $1 is up to date with the current versions of its calendars. */
export const jobCalendarsSettled = statement<{ job_uid: string }>(
  "jobCalendarsSettled",
  `update scheduler.job_calendars jc set version = c.version
     from scheduler.calendars c
    where jc.job_uid = $1 and c.uid = jc.calendar_uid returning jc.job_uid`,
);
