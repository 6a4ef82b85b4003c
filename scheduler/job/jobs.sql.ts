import { statement } from "../../db/statement.ts";
import type { JobRow, TurnRow } from "./job.ts";

const COLUMNS = `j.uid, j.project_id, j.name, j.state, j.revision, j.epoch, j.next_fire_time, j.last_fire_time,
  j.last_seq, j.wake_time, j.after_time, j.carry, j.pause_note, j.pause_until, j.create_time, j.update_time`;
/** The columns of a job with its revision in force, and where they are from. */
export const JOB_WITH_SPEC = `${COLUMNS}, r.spec::text as spec, r.zone_data
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision`;

/** Adds a job: uid, project, name, state, cursor, wake time, time, whether it is deleted when finished. It is to be audited. */
export const jobInsert = statement<{ uid: string }>(
  "jobInsert",
  `with job as (
     insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, next_fire_time, wake_time, after_time,
            create_time, update_time, delete_finished)
     values ($1, $2, $3, $4, 1, 1, $5, $6, $7, $7, $7, $8) returning uid
   )
   insert into scheduler.audits (job_uid, audited_until, audit_time) select uid, $7, $7 from job
   returning job_uid as uid`,
);

/** The project's living job of a name. */
export const jobByName = statement<JobRow>(
  "jobByName",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.name = $2 and j.state <> 'DELETED'`,
);

/** One of the project's jobs, deleted or not. */
export const jobByUid = statement<JobRow>(
  "jobByUid",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.uid = $2`,
);

/** The ids of all jobs that have had a name, newest first. */
export const jobUidsByName = statement<{ uid: string }>(
  "jobUidsByName",
  `select uid from scheduler.jobs where project_id = $1 and name = $2 order by create_time desc, uid desc limit 100`,
);

/** The project's job that had a name at the instant $3, if any. */
export const jobsByNameAt = statement<{ uid: string }>(
  "jobsByNameAt",
  `select uid from scheduler.jobs
    where project_id = $1 and name = $2 and create_time < $3 and (state <> 'DELETED' or update_time >= $3)
    order by create_time desc limit 1`,
);

/** A page of the project's living jobs with a name greater than $2: of a list without a filter, along the index. */
export const jobsAfterName = statement<JobRow>(
  "jobsAfterName",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.name collate "C" > $2 and j.state <> 'DELETED'
   order by j.name collate "C" limit $3`,
);

const IN_ZONES = `exists (select from json_array_elements(r.spec -> 'schedules') as s (schedule)
  where coalesce(nullif(s.schedule ->> 'timeZone', ''), 'UTC') = any (`;

/**
 * Living jobs with a schedule in one of the zones $1 whose revision in force is not by one of the releases $2 of the
 * zone database, at most $4 with an id greater than $3.
 */
export const jobsInZones = statement<{ uid: string; project_id: string; name: string }>(
  "jobsInZones",
  `select j.uid, j.project_id, j.name
     from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision
    where j.uid > $3 and j.state <> 'DELETED' and r.zone_data <> all ($2::text[]) and ${IN_ZONES}$1::text[]))
    order by j.uid limit $4`,
);

/**
 * The project's living jobs, at most $4 with a name greater than $3, that have a schedule in one of the zones $2 or
 * refer to a calendar in one.
 */
export const jobsOfProjectInZones = statement<JobRow>(
  "jobsOfProjectInZones",
  `select ${JOB_WITH_SPEC}
    where j.project_id = $1 and j.state <> 'DELETED' and j.name collate "C" > $3
      and (${IN_ZONES}$2::text[]))
           or exists (select from scheduler.job_calendars jc
                        join scheduler.calendars c on c.uid = jc.calendar_uid
                        join scheduler.calendar_versions v on v.calendar_uid = c.uid and v.version = c.version
                       where jc.job_uid = j.uid and v.spec ->> 'timeZone' = any ($2::text[])))
    order by j.name collate "C" limit $4`,
);

/** Up to how many jobs `jobsDueAt` counts. */
export const JOBS_DUE_LIMIT = 1_000;

/**
 * How many of the project's living jobs have their next fire time at each of the instants $3, which are whole quarters
 * of an hour; without the job $2, and no more than that. One whose fire time at the instant has been handed over has its
 * cursor behind it and is not counted: ask later than the look-ahead.
 */
export const jobsDueAt = statement<{ at: number; count: number }>(
  "jobsDueAt",
  `select due.at, (select count(*)::integer
                     from (select from scheduler.jobs j
                            where j.project_id = $1 and j.next_fire_time = due.at and j.uid <> $2
                              and extract(epoch from j.next_fire_time at time zone 'UTC') % 900 = 0
                            limit ${JOBS_DUE_LIMIT}) as others) as count
     from unnest($3::timestamptz[]) as due (at)`,
);

/**
 * Locks the project's living job of a name against other changes and against the hand-over of its fire times, and
 * lets the dispatcher still record what is being handed over (see scheduler.lock_current). It returns the id alone:
 * a row joined in the same statement would be the one of before the wait for the lock.
 */
export const jobLockForHandOver = statement<{ uid: string }>(
  "jobLockForHandOver",
  `select uid from scheduler.jobs where project_id = $1 and name = $2 and state <> 'DELETED' for no key update`,
);

/** Turns that lock into one that waits for, and then keeps out, the dispatcher's recording. */
export const jobLockForChange = statement<{ uid: string }>(
  "jobLockForChange",
  `select uid from scheduler.jobs where uid = $1 for update`,
);

/**
 * Claims jobs to be looked at by $1 and after $4, earliest first, at most $2, without those in $3 and without those
 * that another scheduler holds.
 */
export const jobClaimDue = statement<TurnRow>(
  "jobClaimDue",
  `select ${COLUMNS} from scheduler.jobs j
    where j.wake_time <= $1 and j.wake_time > $4 and j.uid <> all ($3::text[])
    order by j.wake_time limit $2 for no key update skip locked`,
);

/** Writes what turns have come to: state, cursor, chain, wake time, and what is carried on. */
export const jobAdvance = statement<{ uid: string }>(
  "jobAdvance",
  `update scheduler.jobs j
      set state = moved.state, next_fire_time = moved.next_fire_time, last_fire_time = moved.last_fire_time,
          last_seq = moved.last_seq, wake_time = moved.wake_time, carry = moved.carry::jsonb
     from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::timestamptz[],
                 $7::text[]) as moved (uid, state, next_fire_time, last_fire_time, last_seq, wake_time, carry)
    where j.uid = moved.uid`,
);

/**
 * Writes a change: state, revision, cursor, chain, wake time, what is carried on, note, end of the pause, time, from
 * where the new epoch's fire times are, and whether it is deleted when finished; raises the epoch.
 */
export const jobChange = statement<{ epoch: number }>(
  "jobChange",
  `update scheduler.jobs
      set state = $2, revision = $3, epoch = epoch + 1, next_fire_time = $4, last_fire_time = $5, last_seq = $6,
          wake_time = $7, carry = $8::jsonb, pause_note = $9, pause_until = $10, update_time = $11, after_time = $12,
          delete_finished = $13
    where uid = $1 returning epoch`,
);

/** Writes what is carried on, and when to look at the job. */
export const jobCarry = statement<{ uid: string }>(
  "jobCarry",
  `update scheduler.jobs set carry = $2::jsonb, wake_time = $3 where uid = $1 returning uid`,
);

/** A trigger that a change took back, or (kept) the last later one that has started. */
export interface WithdrawnRow {
  readonly kept: boolean;
  readonly fire_time: number;
  readonly seq: number;
  readonly previous_fire_time: number | null;
  readonly previous_skipped: number;
  readonly previous_missed: number;
}

/** Takes back what was handed over and becomes due later than $2, unless it has started. */
export const jobWithdraw = statement<WithdrawnRow>(
  "jobWithdraw",
  `select * from dispatcher.withdraw($1, $2) order by kept, seq`,
);

/** Which of the jobs $1 have a trigger that has not come to rest. */
export const jobsBusy = statement<{ uid: string }>(
  "jobsBusy",
  `select uid from dispatcher.busy_jobs($1::text[]) as busy (uid)`,
);

/** Triggers of the jobs $1 with places after $2, at fire times from $3 on: handed over, and not committed. */
export const jobsHandedOver = statement<{ job_uid: string; fire_time: number; seq: number }>(
  "jobsHandedOver",
  `select * from dispatcher.handed_over($1::text[], $2::integer[], $3::timestamptz[]) order by job_uid, fire_time`,
);

/**
 * Finished jobs to be deleted, at most $1: those of which no trigger lives and no backfill runs. They are looked up by a
 * function of the dispatcher's, whose tables the scheduler does not read.
 */
export const jobsToDelete = statement<{ uid: string; project_id: string; name: string; epoch: number }>(
  "jobsToDelete",
  `with finished as materialized (
     select j.uid, j.project_id, j.name, j.epoch from scheduler.jobs j
      where j.delete_finished and j.state = 'FINISHED'
        and not exists (select from scheduler.operations o where o.job_uid = j.uid and o.state = 'RUNNING'))
   select * from finished
    where uid not in (select dispatcher.live_jobs(array(select uid from finished))) order by uid limit $1`,
);

/** Which of the jobs $1 have a trigger that has not come to rest, of whatever kind. */
export const jobsLive = statement<{ uid: string }>(
  "jobsLive",
  `select uid from dispatcher.live_jobs($1::text[]) as live (uid)`,
);

/**
 * Cancels the project's triggers that have not come to rest: of the job $2 and of the kind $3 if these are not null, from
 * $4 on and before $5, at $6, at most $7.
 */
export const triggersDiscard = statement<{ count: number }>(
  "triggersDiscard",
  `select dispatcher.discard($1, $2, $3, $4, $5, $6, $7) as count`,
);

/** The project's active jobs with a fire time due before $2 that is not decided, at most $3. */
export const jobsOwing = statement<{ name: string }>(
  "jobsOwing",
  `select name from scheduler.jobs
    where project_id = $1 and state = 'ACTIVE' and next_fire_time < $2 order by next_fire_time limit $3`,
);

/** Cancels the triggers of a deleted job that have not come to rest. */
export const jobCancelTriggers = statement<{ cancel: string }>(
  "jobCancelTriggers",
  `select dispatcher.cancel($1, $2)::text as cancel`,
);
