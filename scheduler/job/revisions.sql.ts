import { statement } from "../../db/statement.ts";

/**
 * Adds a revision: job, number, specification as JSON text, time, who, the zone data that its fire times are by, how many
 * fires are used up, and the last fire time that waits.
 */
export const revisionInsert = statement<{ revision: number }>(
  "revisionInsert",
  `insert into scheduler.revisions (job_uid, revision, spec, create_time, actor, zone_data, fired_count, waiting_time)
   values ($1, $2, $3::json, $4, $5, $6, $7, $8)
   returning revision`,
);

/** The specifications of the given (job, revision) pairs. */
export const revisionsByJob = statement<{
  job_uid: string;
  revision: number;
  spec: string;
  zone_data: string;
}>(
  "revisionsByJob",
  `select r.job_uid, r.revision, r.spec::text as spec, r.zone_data
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
     join scheduler.revisions r using (job_uid, revision)`,
);

/** A revision with the job it belongs to. Times are epoch milliseconds. */
export interface RevisionRow {
  readonly uid: string;
  readonly name: string;
  readonly revision: number;
  readonly spec: string;
  readonly actor: string;
  readonly zone_data: string;
  readonly create_time: number;
  readonly fired_count: number;
  readonly waiting_time: number | null;
}

const REVISION = `j.uid, j.name, r.revision, r.spec::text as spec, r.actor, r.zone_data, r.create_time, r.fired_count,
  r.waiting_time
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid`;

/** A page of the revisions of one of the project's jobs, newest first, of those less than $3. */
export const revisionsBefore = statement<RevisionRow>(
  "revisionsBefore",
  `select ${REVISION} where j.project_id = $1 and j.uid = $2 and r.revision < $3
    order by r.revision desc limit $4`,
);

/** Two revisions of one of the project's jobs: that of number $3, and the one before it. */
export const revisionWithPrevious = statement<RevisionRow>(
  "revisionWithPrevious",
  `select ${REVISION} where j.project_id = $1 and j.uid = $2 and r.revision between $3 - 1 and $3
    order by r.revision desc`,
);

/**
 * The versions of the project's calendars $2 (names) that were in force at $3, also of those deleted later. By the clock
 * of another process a version may be a little later than what was made while it was in force: then the first one counts.
 */
export const calendarVersionsAt = statement<{ name: string; uid: string; version: number }>(
  "calendarVersionsAt",
  `select distinct on (c.name) c.name, c.uid, v.version
     from scheduler.calendars c join scheduler.calendar_versions v on v.calendar_uid = c.uid
    where c.project_id = $1 and c.name = any ($2::text[])
    order by c.name, coalesce(c.delete_time < $3::timestamptz, false), v.create_time > $3::timestamptz,
          case when v.create_time <= $3::timestamptz then v.create_time end desc, v.create_time, v.version desc`,
);
