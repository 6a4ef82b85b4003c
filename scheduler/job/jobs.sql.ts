import { statement } from "../../db/statement.ts";
import type { JobRow, TurnRow } from "./job.ts";

const COLUMNS = `j.uid, j.project_id, j.name, j.state, j.revision, j.epoch, j.next_fire_time, j.last_fire_time,
  j.last_seq, j.wake_time, j.after_time, j.carry, j.pause_note, j.pause_until, j.create_time, j.update_time`;
/** The columns of `JobRow` and the from clause that they need. */
export const JOB_WITH_SPEC = `${COLUMNS}, r.spec::text as spec, r.zone_data
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision`;

/**
 * Adds a job in revision 1 and epoch 1: uid, project, name, state, cursor, wake time, time, whether it is deleted when
 * finished. Also adds the row that its audits start from.
 */
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

/** Returns the job of project $1 with name $2, unless it is deleted. */
export const jobByName = statement<JobRow>(
  "jobByName",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.name = $2 and j.state <> 'DELETED'`,
);

/** Returns the job of project $1 with uid $2, deleted or not. */
export const jobByUid = statement<JobRow>(
  "jobByUid",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.uid = $2`,
);

/** Returns the uids of the jobs of project $1 that have had name $2, newest first, at most 100. */
export const jobUidsByName = statement<{ uid: string }>(
  "jobUidsByName",
  `select uid from scheduler.jobs where project_id = $1 and name = $2 order by create_time desc, uid desc limit 100`,
);

/** Returns the job of project $1 that had name $2 at the instant $3, if any. */
export const jobsByNameAt = statement<{ uid: string }>(
  "jobsByNameAt",
  `select uid from scheduler.jobs
    where project_id = $1 and name = $2 and create_time < $3 and (state <> 'DELETED' or update_time >= $3)
    order by create_time desc limit 1`,
);

/**
 * Returns a page of the jobs of project $1, without deleted ones: at most $3, by name, with names greater than $2. It
 * is for lists without a filter, and reads along the index.
 */
export const jobsAfterName = statement<JobRow>(
  "jobsAfterName",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.name collate "C" > $2 and j.state <> 'DELETED'
   order by j.name collate "C" limit $3`,
);

const IN_ZONES = `exists (select from json_array_elements(r.spec -> 'schedules') as s (schedule)
  where coalesce(nullif(s.schedule ->> 'timeZone', ''), 'UTC') = any (`;

/** A job of a page, and whether a release of the zone database affects it. */
export interface ZoneJobRow {
  readonly uid: string;
  readonly project_id: string;
  readonly name: string;
  readonly affected: boolean;
}

/**
 * Returns a page of the jobs with a uid greater than $3: at most $4, by uid, without deleted ones. `affected`: the job
 * has a schedule in one of the zones $1, and its current revision was not computed with one of the releases $2.
 */
export const jobsInZones = statement<ZoneJobRow>(
  "jobsInZones",
  `select j.uid, j.project_id, j.name,
          coalesce(r.zone_data <> all ($2::text[]) and ${IN_ZONES}$1::text[])), false) as affected
     from (select uid, project_id, name, revision from scheduler.jobs
            where uid > $3 and state <> 'DELETED' order by uid limit $4) as j
     left join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision
    order by j.uid`,
);

/**
 * Returns a page of the jobs of project $1 with names greater than $3: at most $4, by name, without deleted ones.
 * `affected`: the job has a schedule in one of the zones $2, or uses a calendar in one.
 */
export const jobsOfProjectInZones = statement<ZoneJobRow>(
  "jobsOfProjectInZones",
  `select j.uid, j.project_id, j.name,
          coalesce(${IN_ZONES}$2::text[])), false)
          or exists (select from scheduler.job_calendars jc
                       join scheduler.calendars c on c.uid = jc.calendar_uid
                       join scheduler.calendar_versions v on v.calendar_uid = c.uid and v.version = c.version
                      where jc.job_uid = j.uid and v.spec ->> 'timeZone' = any ($2::text[])) as affected
     from (select uid, project_id, name, revision from scheduler.jobs
            where project_id = $1 and state <> 'DELETED' and name collate "C" > $3
            order by name collate "C" limit $4) as j
     left join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision
    order by j.name collate "C"`,
);

/** Returns the jobs $2 of project $1, without deleted ones. */
export const jobsByUids = statement<JobRow>(
  "jobsByUids",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.uid = any ($2::text[]) and j.state <> 'DELETED'`,
);

/** The most jobs that `jobsDueAt` counts for one instant. */
export const JOBS_DUE_LIMIT = 1_000;

/**
 * Counts for each instant $3 the jobs of project $1 that have their next fire time at it, without the job $2. The
 * instants must be whole quarters of an hour. At most `JOBS_DUE_LIMIT` are counted for each. A job whose fire time at
 * the instant has already been handed over is not counted, because its cursor is past it. So ask only about instants
 * later than the look-ahead.
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
 * Locks the job of project $1 with name $2 against other changes and against the hand-over of its fire times. The
 * dispatcher may still record events that are being handed over (see scheduler.lock_current). It returns only the uid:
 * a row that is joined in this statement could be older than the wait for the lock.
 */
export const jobLockForHandOver = statement<{ uid: string }>(
  "jobLockForHandOver",
  `select uid from scheduler.jobs where project_id = $1 and name = $2 and state <> 'DELETED' for no key update`,
);

/** Strengthens that lock: waits until the dispatcher has recorded what it is recording, and then blocks it. */
export const jobLockForChange = statement<{ uid: string }>(
  "jobLockForChange",
  `select uid from scheduler.jobs where uid = $1 for update`,
);

/**
 * Claims jobs with a wake time after $4 and up to $1: at most $2, earliest first, without the jobs $3 and without those
 * that another scheduler has locked.
 */
export const jobClaimDue = statement<TurnRow>(
  "jobClaimDue",
  `select ${COLUMNS} from scheduler.jobs j
    where j.wake_time <= $1 and j.wake_time > $4 and j.uid <> all ($3::text[])
    order by j.wake_time limit $2 for no key update skip locked`,
);

/**
 * Writes the results of turns: uid, state, cursor, last fire time, last sequence number, wake time, carry, and whether
 * the job waits for the end of an earlier trigger.
 */
export const jobAdvance = statement<{ uid: string }>(
  "jobAdvance",
  `update scheduler.jobs j
      set state = moved.state, next_fire_time = moved.next_fire_time, last_fire_time = moved.last_fire_time,
          last_seq = moved.last_seq, wake_time = moved.wake_time, carry = moved.carry::jsonb,
          waits_for_end = moved.waits_for_end
     from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::integer[], $6::timestamptz[],
                 $7::text[], $8::boolean[])
          as moved (uid, state, next_fire_time, last_fire_time, last_seq, wake_time, carry, waits_for_end)
    where j.uid = moved.uid`,
);

/**
 * Writes a change and begins a new epoch: uid, state, revision, cursor, last fire time, last sequence number, wake
 * time, carry, pause note, end of the pause, time of the change, after_time of the new epoch, whether the job is
 * deleted when finished.
 */
export const jobChange = statement<{ epoch: number }>(
  "jobChange",
  `update scheduler.jobs
      set state = $2, revision = $3, epoch = epoch + 1, next_fire_time = $4, last_fire_time = $5, last_seq = $6,
          wake_time = $7, carry = $8::jsonb, pause_note = $9, pause_until = $10, update_time = $11, after_time = $12,
          delete_finished = $13
    where uid = $1 returning epoch`,
);

/** Writes the carry and the wake time of a job. */
export const jobCarry = statement<{ uid: string }>(
  "jobCarry",
  `update scheduler.jobs set carry = $2::jsonb, wake_time = $3 where uid = $1 returning uid`,
);

/** A trigger that a change withdrew, or (`kept`) the last trigger after the change that stays. */
export interface WithdrawnRow {
  readonly kept: boolean;
  readonly fire_time: number;
  readonly seq: number;
  readonly previous_fire_time: number | null;
  readonly previous_skipped: number;
  readonly previous_missed: number;
}

/**
 * Withdraws the scheduled triggers of job $1 that are due later than $2 and have not started. A trigger stays if a
 * later one has started. Also returns the last trigger with a fire time after $2 that stays, if any.
 */
export const jobWithdraw = statement<WithdrawnRow>(
  "jobWithdraw",
  `select * from dispatcher.withdraw($1, $2) order by kept, seq`,
);

/** Returns which of the jobs $1 have an unfinished trigger. Backfills do not count. */
export const jobsBusy = statement<{ uid: string }>(
  "jobsBusy",
  `select uid from dispatcher.busy_jobs($1::text[]) as busy (uid)`,
);

/**
 * Returns the triggers of jobs $1 with sequence numbers after $2 and fire times from $3 on. They were handed over in
 * transactions of the scheduler that never committed.
 */
export const jobsHandedOver = statement<{ job_uid: string; fire_time: number; seq: number }>(
  "jobsHandedOver",
  `select * from dispatcher.handed_over($1::text[], $2::integer[], $3::timestamptz[]) order by job_uid, fire_time`,
);

/**
 * Returns finished jobs to delete, at most $1: those without an unfinished trigger and without a running backfill. A
 * function of the dispatcher finds the triggers, because the scheduler may not read the dispatcher's tables.
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

/** Returns which of the jobs $1 have an unfinished trigger of any kind. */
export const jobsLive = statement<{ uid: string }>(
  "jobsLive",
  `select uid from dispatcher.live_jobs($1::text[]) as live (uid)`,
);

/**
 * Cancels unfinished triggers of project $1: of job $2 and kind $3 where these are not null, with fire times from $4 on
 * and before $5, at most $7. $6 is the time of the cancellation. Returns how many.
 */
export const triggersDiscard = statement<{ count: number }>(
  "triggersDiscard",
  `select dispatcher.discard($1, $2, $3, $4, $5, $6, $7) as count`,
);

/**
 * Makes jobs of project $1 due at $3 that wait for the end of an earlier trigger: the job $2, or all if $2 is null.
 * Jobs that another transaction has locked are left out.
 */
export const jobsWakeWaiting = statement<{ uid: string }>(
  "jobsWakeWaiting",
  `update scheduler.jobs set wake_time = $3
    where uid = any (array(select uid from scheduler.jobs
                            where project_id = $1 and ($2::text is null or uid = $2) and waits_for_end
                              and state = 'ACTIVE' and (wake_time is null or wake_time > $3) for no key update skip locked))
   returning uid`,
);

/** Returns the active jobs of project $1 with an undecided fire time before $2: at most $3, earliest first. */
export const jobsOwing = statement<{ name: string }>(
  "jobsOwing",
  `select name from scheduler.jobs
    where project_id = $1 and state = 'ACTIVE' and next_fire_time < $2 order by next_fire_time limit $3`,
);

/** Cancels the unfinished triggers of the deleted job $1 at $2. */
export const jobCancelTriggers = statement<{ cancel: string }>(
  "jobCancelTriggers",
  `select dispatcher.cancel($1, $2)::text as cancel`,
);
