import { statement } from "../../db/statement.ts";
import type { Carry } from "../job/carry.ts";
import type { JobStateName } from "../job/job.ts";
import type { SkipRow } from "../job/skips.sql.ts";
import type { LedgerTriggerRow } from "../ledger/ledger.sql.ts";

/** The columns of a job's row that an audit reads. Times are epoch milliseconds. */
export interface AuditJobRow {
  readonly uid: string;
  readonly project_id: string;
  readonly name: string;
  readonly state: JobStateName;
  readonly next_fire_time: number | null;
  readonly last_fire_time: number | null;
  readonly last_seq: number;
  readonly wake_time: number | null;
  readonly pause_until: number | null;
  readonly carry: Partial<Carry>;
}

/** Reads the row of the project's job $2, also if it is deleted. */
export const auditJobByUid = statement<AuditJobRow>(
  "auditJobByUid",
  `select uid, project_id, name, state, next_fire_time, last_fire_time, last_seq, wake_time, pause_until, carry
     from scheduler.jobs where project_id = $1 and uid = $2`,
);

/** One epoch of a job. Times are epoch milliseconds. */
export interface AuditEpochRow {
  readonly state: "ACTIVE" | "PAUSED" | "DISABLED" | "DELETED";
  readonly revision: number;
  readonly after_time: number;
  readonly end_time: number | null;
  readonly change_time: number;
}

/** Reads all epochs of the job $1, in order. */
export const auditEpochs = statement<AuditEpochRow>(
  "auditEpochs",
  `select state, revision, after_time, end_time, change_time
     from scheduler.epochs where job_uid = $1 order by epoch`,
);

/** Reads the specifications of the revisions $2 of the job $1. */
export const auditRevisions = statement<{ revision: number; spec: string; zone_data: string }>(
  "auditRevisions",
  `select r.revision, r.zone_data, r.spec
     from scheduler.revisions r where r.job_uid = $1 and r.revision = any ($2::integer[])`,
);

/** A trigger as an audit compares it. Times are epoch milliseconds. */
export interface AuditTriggerRow {
  readonly id: string;
  readonly fire_time: number;
  readonly effective_time: number;
  readonly revision: number;
  readonly kind: "SCHEDULED" | "CATCHUP" | "BACKFILL";
  readonly seq: number;
  readonly previous_fire_time: number | null;
  readonly next_fire_time: number | null;
  readonly previous_skipped: number;
  readonly previous_missed: number;
  readonly create_time: number;
}

/**
 * Reads the triggers of the project's job with fire times from $3 to $4, both inclusive, earliest first, at most $5.
 */
export const auditTriggers = statement<AuditTriggerRow>(
  "auditTriggers",
  `select * from dispatcher.audit_triggers($1, $2, $3, $4, $5) order by fire_time`,
);

/** A version of a calendar and the time in which it was in effect. Times are epoch milliseconds. */
export interface AuditCalendarRow {
  readonly name: string;
  readonly create_time: number;
  /** Exclusive. Null while the version is in effect. */
  readonly until_time: number | null;
  readonly spec: string;
  readonly zone_data: string;
}

/** Reads the versions of the project's calendars $2 that were in effect at $3 or later, including deleted calendars. */
export const auditCalendars = statement<AuditCalendarRow>(
  "auditCalendars",
  `select name, create_time, until_time, spec, zone_data from (
     select c.name, v.version, v.create_time, v.spec::text as spec, v.zone_data,
            coalesce(lead(v.create_time) over (partition by c.uid order by v.version), c.delete_time) as until_time
       from scheduler.calendars c join scheduler.calendar_versions v on v.calendar_uid = c.uid
      where c.project_id = $1 and c.name = any ($2::text[])) as versions
    where until_time is null or until_time >= $3
    order by name, create_time limit 200`,
);

/** A job that a scheduler has claimed for an audit. */
export interface ClaimedAuditRow {
  readonly job_uid: string;
  readonly project_id: string;
  /** The job's ledger has been compared up to here. Epoch milliseconds. */
  readonly audited_until: number;
}

/**
 * Claims jobs at the time $1: those last claimed at $2 or before, the longest ago first, at most $3. Skips rows that
 * another scheduler is claiming. The rows are chosen in a materialized part, because a plan may otherwise choose anew,
 * up to $3 further rows, for each row that it joins. They are found by `= any`, because the planner expects a tenth of
 * the table for a limit that it does not know, and would read all jobs for a join.
 */
export const auditClaim = statement<ClaimedAuditRow>(
  "auditClaim",
  `with next as materialized (
     select job_uid from scheduler.audits where audit_time <= $2
      order by audit_time limit $3 for update skip locked
   ), claimed as (
     update scheduler.audits set audit_time = $1
      where job_uid = any (array(select job_uid from next)) returning job_uid, audited_until
   )
   select c.job_uid, j.project_id, c.audited_until
     from claimed c join scheduler.jobs j on j.uid = c.job_uid`,
);

/**
 * Records that the ledgers of the jobs $1 have been compared up to $2. Those for which $3 is true are never audited
 * again.
 */
export const auditsAdvance = statement<{ job_uid: string }>(
  "auditsAdvance",
  `update scheduler.audits a
      set audited_until = greatest(a.audited_until, done.until_time),
          audit_time = case when done.is_last then null else a.audit_time end
     from unnest($1::text[], $2::timestamptz[], $3::boolean[]) as done (job_uid, until_time, is_last)
    where a.job_uid = done.job_uid returning a.job_uid`,
);

/**
 * Reads the rows of the jobs that the pairs of project and uid stand for, also if they are deleted, and the floors of their
 * projects: epoch milliseconds, null while nothing was removed.
 */
export const auditJobsByUids = statement<AuditJobRow & { floor_time: number | null }>(
  "auditJobsByUids",
  `select j.uid, j.project_id, j.name, j.state, j.next_fire_time, j.last_fire_time, j.last_seq, j.wake_time, j.pause_until,
          j.carry, nullif(dispatcher.retention_floor(j.project_id), '-infinity') as floor_time
     from unnest($1::text[], $2::text[]) as wanted (project_id, uid)
     join scheduler.jobs j on j.project_id = wanted.project_id and j.uid = wanted.uid`,
);

/**
 * Reads the epochs of jobs: uid and the beginning of the range. They come job by job and in order, from the last one that
 * begins before the range, and of each job at most one more than $3. Earlier ones have no fire times in the range.
 */
export const auditEpochsOf = statement<AuditEpochRow & { job_uid: string }>(
  "auditEpochsOf",
  `select wanted.uid as job_uid, e.state, e.revision, e.after_time, e.end_time, e.change_time
     from unnest($1::text[], $2::timestamptz[]) as wanted (uid, from_time)
    cross join lateral (
      select * from scheduler.epochs
       where job_uid = wanted.uid and epoch >= coalesce(
         (select b.epoch from scheduler.epochs b
           where b.job_uid = wanted.uid and b.after_time < wanted.from_time order by b.epoch desc limit 1), 0)
       order by epoch limit $3::integer + 1) as e
    order by wanted.uid, e.epoch`,
);

/** Reads the specifications of pairs of job and revision. */
export const auditRevisionsOf = statement<{
  job_uid: string;
  revision: number;
  spec: string;
  zone_data: string;
}>(
  "auditRevisionsOf",
  `select r.job_uid, r.revision, r.zone_data, r.spec
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
     join scheduler.revisions r on r.job_uid = wanted.job_uid and r.revision = wanted.revision`,
);

/**
 * Reads the triggers of jobs: project, uid, and the first and last fire time of the range, both inclusive. They come job
 * by job, earliest first, and of each job at most one more than $5.
 */
export const auditTriggersOf = statement<AuditTriggerRow & { job_uid: string }>(
  "auditTriggersOf",
  `select wanted.uid as job_uid, t.*
     from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) as wanted (project_id, uid, from_time, to_time)
    cross join lateral dispatcher.audit_triggers(wanted.project_id, wanted.uid, wanted.from_time, wanted.to_time,
                                                 $5::integer + 1) as t
    order by wanted.uid, t.fire_time`,
);

/** Reads the skips of jobs that reach into a range, as `skipsBetween` does, and of each job at most one more than $4. */
export const auditSkipsOf = statement<SkipRow & { job_uid: string }>(
  "auditSkipsOf",
  `select wanted.uid as job_uid, s.*
     from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as wanted (uid, from_time, to_time)
    cross join lateral (
      select first_fire_time, last_fire_time, verdict, reason, fire_count, detail from scheduler.skips
       where job_uid = wanted.uid and first_fire_time <= wanted.to_time and last_fire_time >= wanted.from_time
         and first_fire_time >= coalesce(
           (select max(b.first_fire_time) from scheduler.skips b
             where b.job_uid = wanted.uid and b.first_fire_time <= wanted.from_time), wanted.from_time)
       order by first_fire_time limit $4::integer + 1) as s
    order by wanted.uid, s.first_fire_time`,
);

/** Reads triggers by project, job and fire time, without those of manual runs. */
export const auditTriggersAt = statement<LedgerTriggerRow & { job_uid: string }>(
  "auditTriggersAt",
  `select wanted.uid as job_uid, t.*
     from unnest($1::text[], $2::text[], $3::timestamptz[]) as wanted (project_id, uid, fire_time)
    cross join lateral dispatcher.ledger_triggers_at(wanted.project_id, wanted.uid, array[wanted.fire_time]) as t`,
);
