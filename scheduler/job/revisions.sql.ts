import { statement } from "../../db/statement.ts";

/**
 * Adds revisions. The arrays are: jobs, numbers, specifications as JSON text, times, who made them, the zone data versions
 * that their fire times are computed with, how many of `maxFires` are used up, the last fire times that wait, and the
 * facets as JSON text. $10 is the traceparent of the call that makes them, or null.
 */
export const revisionsInsert = statement<{ revision: number }>(
  "revisionsInsert",
  `insert into scheduler.revisions (job_uid, revision, spec, create_time, actor, zone_data, fired_count, waiting_time,
          facets, traceparent)
   select g.job_uid, g.revision, g.spec, g.create_time, g.actor, g.zone_data, g.fired_count, g.waiting_time,
          g.facets::jsonb, $10
     from unnest($1::text[], $2::integer[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::integer[],
                 $8::timestamptz[], $9::text[])
       as g (job_uid, revision, spec, create_time, actor, zone_data, fired_count, waiting_time, facets)
   returning revision`,
);

/** Returns the specifications of the given (job, revision) pairs. */
export const revisionsByJob = statement<{
  job_uid: string;
  revision: number;
  spec: string;
  zone_data: string;
}>(
  "revisionsByJob",
  `select r.job_uid, r.revision, r.spec, r.zone_data
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
     join scheduler.revisions r using (job_uid, revision)`,
);

/** Returns the traceparents of the calls that made the given (job, revision) pairs. */
export const revisionTraceparents = statement<{
  job_uid: string;
  revision: number;
  traceparent: string | null;
}>(
  "revisionTraceparents",
  `select r.job_uid, r.revision, r.traceparent
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
     join scheduler.revisions r using (job_uid, revision)`,
);

/** A revision with its job. Times are epoch milliseconds. */
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

const REVISION = `j.uid, j.name, r.revision, r.spec, r.actor, r.zone_data, r.create_time, r.fired_count,
  r.waiting_time
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid`;

/** Returns revisions of job $2 of project $1 with numbers less than $3: at most $4, newest first. */
export const revisionsBefore = statement<RevisionRow>(
  "revisionsBefore",
  `select ${REVISION} where j.project_id = $1 and j.uid = $2 and r.revision < $3
    order by r.revision desc limit $4`,
);

/** Returns revision $3 of job $2 of project $1, and the one before it, if any. */
export const revisionWithPrevious = statement<RevisionRow>(
  "revisionWithPrevious",
  `select ${REVISION} where j.project_id = $1 and j.uid = $2 and r.revision between $3 - 1 and $3
    order by r.revision desc`,
);

/**
 * Returns the versions of calendars (names $2, project $1) that were in effect at $3, also of calendars deleted later.
 * Clocks of processes differ: by the clock, a version may be a little newer than a revision that was made with it. So
 * when no version is old enough, the first one counts.
 */
export const calendarVersionsAt = statement<{ name: string; uid: string; version: number }>(
  "calendarVersionsAt",
  `select distinct on (c.name) c.name, c.uid, v.version
     from scheduler.calendars c join scheduler.calendar_versions v on v.calendar_uid = c.uid
    where c.project_id = $1 and c.name = any ($2::text[])
    order by c.name, coalesce(c.delete_time < $3::timestamptz, false), v.create_time > $3::timestamptz,
          case when v.create_time <= $3::timestamptz then v.create_time end desc, v.create_time, v.version desc`,
);
