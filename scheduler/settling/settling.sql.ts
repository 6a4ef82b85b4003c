import { statement } from "../../db/statement.ts";

/**
 * Locks those of the jobs $1 that no other transaction has locked, and returns them, with the size of their current
 * specification in bytes. It does not read the specification: PostgreSQL keeps the size of a large text beside it.
 */
export const jobsLockFree = statement<{ uid: string; project_id: string; spec_bytes: number }>(
  "jobsLockFree",
  `with free as materialized (
     select uid, project_id, revision from scheduler.jobs
      where uid = any ($1::text[]) order by uid for no key update skip locked)
   select free.uid, free.project_id, coalesce(octet_length(r.spec), 0) as spec_bytes
     from free left join scheduler.revisions r on r.job_uid = free.uid and r.revision = free.revision`,
);

/** Records that the jobs $1 are up to date with their calendars. Returns those that were not. */
export const jobCalendarsSettled = statement<{ job_uid: string }>(
  "jobCalendarsSettled",
  `update scheduler.job_calendars jc set version = c.version
     from scheduler.calendars c
    where jc.job_uid = any ($1::text[]) and c.uid = jc.calendar_uid and jc.version < c.version returning jc.job_uid`,
);
