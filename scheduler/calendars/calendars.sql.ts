import { statement } from "../../db/statement.ts";

/** A calendar with its version in force. Times are epoch milliseconds. */
export interface CalendarRow {
  readonly uid: string;
  readonly project_id: string;
  readonly name: string;
  readonly version: number;
  readonly create_time: number;
  readonly update_time: number;
  /** Zone, windows and dates as proto3 JSON text of easycron.v1.Calendar. */
  readonly spec: string;
  /** The release of the zone database by which the version's hours are computed. */
  readonly zone_data: string;
}

/** A calendar's version in force, without its text. */
export interface CalendarVersionRow {
  readonly project_id: string;
  readonly name: string;
  readonly uid: string;
  readonly version: number;
}

const WITH_SPEC = `c.uid, c.project_id, c.name, c.version, c.create_time, c.update_time, v.spec::text as spec, v.zone_data
  from scheduler.calendars c join scheduler.calendar_versions v on v.calendar_uid = c.uid and v.version = c.version`;

/** Adds a calendar in version 1: uid, project, name, time. */
export const calendarInsert = statement<{ uid: string }>(
  "calendarInsert",
  `insert into scheduler.calendars (uid, project_id, name, version, create_time, update_time)
   values ($1, $2, $3, 1, $4, $4) returning uid`,
);

/** Adds the text of a version: calendar, version, JSON text, time, and the zone data that its hours are by. */
export const calendarVersionInsert = statement<{ version: number }>(
  "calendarVersionInsert",
  `insert into scheduler.calendar_versions (calendar_uid, version, spec, create_time, zone_data)
   values ($1, $2, $3::json, $4, $5)
   returning version`,
);

/** The project's living calendar of a name. */
export const calendarByName = statement<CalendarRow>(
  "calendarByName",
  `select ${WITH_SPEC} where c.project_id = $1 and c.name = $2 and c.delete_time is null`,
);

/** A page of the project's living calendars with a name greater than $2. */
export const calendarsAfterName = statement<CalendarRow>(
  "calendarsAfterName",
  `select ${WITH_SPEC} where c.project_id = $1 and c.name collate "C" > $2 and c.delete_time is null
   order by c.name collate "C" limit $3`,
);

/** Locks a calendar for a change of it: other changes wait, and so do jobs that begin to refer to it. */
export const calendarLockForChange = statement<{ uid: string }>(
  "calendarLockForChange",
  `select uid from scheduler.calendars where project_id = $1 and name = $2 and delete_time is null
      for no key update`,
);

/** Puts the next version in force: uid, version, time. */
export const calendarRaiseVersion = statement<{ uid: string }>(
  "calendarRaiseVersion",
  `update scheduler.calendars set version = $2, update_time = $3 where uid = $1 returning uid`,
);

/** Deletes a calendar: uid, time. */
export const calendarDelete = statement<{ uid: string }>(
  "calendarDelete",
  `update scheduler.calendars set delete_time = $2, update_time = $2 where uid = $1 returning uid`,
);

/** How many living jobs refer to a calendar, and the first names of them. */
export const calendarUsers = statement<{ count: number; names: readonly string[] | null }>(
  "calendarUsers",
  `select count(*)::integer as count, (array_agg(j.name order by j.name collate "C"))[1:5] as names
     from scheduler.job_calendars jc join scheduler.jobs j on j.uid = jc.job_uid
    where jc.calendar_uid = $1 and j.state <> 'DELETED'`,
);

/** The versions in force of the living calendars that the pairs of project and name mean. */
export const calendarVersions = statement<CalendarVersionRow>(
  "calendarVersions",
  `select c.project_id, c.name, c.uid, c.version
     from unnest($1::text[], $2::text[]) as wanted (project_id, name)
     join scheduler.calendars c on c.project_id = wanted.project_id and c.name = wanted.name
    where c.delete_time is null`,
);

/** The texts of the given (calendar, version) pairs. */
export const calendarSpecs = statement<{ uid: string; version: number; spec: string; zone_data: string }>(
  "calendarSpecs",
  `select v.calendar_uid as uid, v.version, v.spec::text as spec, v.zone_data
     from unnest($1::text[], $2::integer[]) as wanted (calendar_uid, version)
     join scheduler.calendar_versions v using (calendar_uid, version)`,
);

/**
 * The project's living calendars of these names, locked until the end of the transaction against changes and
 * deletion. Always in the order of their ids.
 */
export const calendarLockForReference = statement<CalendarVersionRow>(
  "calendarLockForReference",
  `select project_id, name, uid, version from scheduler.calendars
    where project_id = $1 and name = any ($2::text[]) and delete_time is null order by uid for share`,
);

/** Makes the pairs of job ($2) and calendar ($3) all that the jobs $1 refer to: removes the others. */
export const jobCalendarsDeleteOthers = statement<{ job_uid: string }>(
  "jobCalendarsDeleteOthers",
  `delete from scheduler.job_calendars
    where job_uid = any ($1::text[])
      and (job_uid, calendar_uid) not in (select * from unnest($2::text[], $3::text[]))
   returning job_uid`,
);

/** Adds pairs of job and calendar at a version. */
export const jobCalendarsInsert = statement<{ job_uid: string }>(
  "jobCalendarsInsert",
  `insert into scheduler.job_calendars (job_uid, calendar_uid, version)
   select * from unnest($1::text[], $2::text[], $3::integer[])
   on conflict (job_uid, calendar_uid) do update set version = excluded.version returning job_uid`,
);

/** Living jobs that have not been settled since a calendar of theirs changed, at most $1, in the order of their ids. */
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

/** Marks a job as settled by the present versions of its calendars. */
export const jobCalendarsSettled = statement<{ job_uid: string }>(
  "jobCalendarsSettled",
  `update scheduler.job_calendars jc set version = c.version
     from scheduler.calendars c
    where jc.job_uid = $1 and c.uid = jc.calendar_uid returning jc.job_uid`,
);
