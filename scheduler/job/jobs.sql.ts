import { statement } from "../../db/statement.ts";
import type { JobRow, TurnRow } from "./job.ts";

const COLUMNS = `j.uid, j.project_id, j.name, j.state, j.revision, j.epoch, j.next_fire_time, j.last_fire_time,
  j.last_seq, j.wake_time, j.after_time, j.carry, j.pause_note, j.pause_until, j.create_time, j.update_time,
  j.disable_reason`;
/** The columns of `JobRow` and the from clause that they need. */
export const JOB_WITH_SPEC = `${COLUMNS}, r.spec, r.zone_data
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision`;

// Names are compared as the indexes have them. In another collation PostgreSQL could not use the indexes.
const NAME = 'name collate "C"';

/** Returns the job of project $1 with name $2, unless it is deleted. */
export const jobByName = statement<JobRow>(
  "jobByName",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.${NAME} = $2 and j.state <> 'DELETED'`,
);

/** Returns the job of project $1 with uid $2, deleted or not. */
export const jobByUid = statement<JobRow>(
  "jobByUid",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.uid = $2`,
);

/** Returns the jobs that the pairs of project and uid stand for, deleted or not. */
export const jobsByUids = statement<JobRow>(
  "jobsByUids",
  `select ${JOB_WITH_SPEC}
     join unnest($1::text[], $2::text[]) as wanted (project_id, uid)
       on wanted.project_id = j.project_id and wanted.uid = j.uid`,
);

/** Returns the uids of the jobs of project $1 that have had name $2, newest first, at most 100. */
export const jobUidsByName = statement<{ uid: string }>(
  "jobUidsByName",
  `select uid from (
     select uid, create_time from scheduler.jobs where project_id = $1 and ${NAME} = $2 and state <> 'DELETED'
     union all
     (select uid, create_time from scheduler.jobs where project_id = $1 and ${NAME} = $2 and state = 'DELETED'
       order by create_time desc, uid desc limit 100)) as named
    order by create_time desc, uid desc limit 100`,
);

/** Returns the job of project $1 that had name $2 at the instant $3, if any. */
export const jobsByNameAt = statement<{ uid: string }>(
  "jobsByNameAt",
  `select uid from (
     select uid, create_time from scheduler.jobs
      where project_id = $1 and ${NAME} = $2 and create_time < $3 and state <> 'DELETED'
     union all
     (select uid, create_time from scheduler.jobs
       where project_id = $1 and ${NAME} = $2 and create_time < $3 and state = 'DELETED' and update_time >= $3
       order by create_time desc limit 1)) as named
    order by create_time desc limit 1`,
);

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
          coalesce(r.zone_data <> all ($2::text[]) and r.facets -> 'zones' ?| $1::text[], false) as affected
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
          coalesce(r.facets -> 'zones' ?| $2::text[], false)
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
export const jobsOfProject = statement<JobRow>(
  "jobsOfProject",
  `select ${JOB_WITH_SPEC} where j.project_id = $1 and j.uid = any ($2::text[]) and j.state <> 'DELETED'`,
);

/** The most jobs that `jobsDueAt` counts for one instant. */
export const JOBS_DUE_LIMIT = 1_000;

/**
 * Counts for each instant $3 the jobs of project $1 that have their next fire time at it, without the job $2. At most
 * `JOBS_DUE_LIMIT` are counted for each. A job whose fire time at the instant has already been handed over is not
 * counted, because its cursor is past it. So ask only about instants later than the look-ahead and a step.
 */
export const jobsDueAt = statement<{ at: number; count: number }>(
  "jobsDueAt",
  `select due.at, (select count(*)::integer
                     from (select from scheduler.jobs j
                            where j.project_id = $1 and coalesce(j.next_fire_time, 'infinity') = due.at
                              and j.state <> 'DELETED' and j.uid <> $2
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
  `select uid from scheduler.jobs where project_id = $1 and ${NAME} = $2 and state <> 'DELETED' for no key update`,
);

/**
 * Locks the jobs of project $1 with uids $2, like `jobLockForHandOver`, without deleted ones. It locks in the order of
 * the uids, so that two callers cannot deadlock.
 */
export const jobsLockForHandOver = statement<{ uid: string }>(
  "jobsLockForHandOver",
  `select uid from scheduler.jobs
    where project_id = $1 and uid = any ($2::text[]) and state <> 'DELETED' order by uid for no key update`,
);

/**
 * Strengthens the locks of the jobs $1, in the order of their uids: waits until the dispatcher has recorded what it is
 * recording, and then blocks it.
 */
export const jobsLockForChange = statement<{ uid: string }>(
  "jobsLockForChange",
  `select uid from scheduler.jobs where uid = any ($1::text[]) order by uid for update`,
);

// The jobs that are set aside are hashed once (`not in`): a join was planned as a loop over all of them for each job,
// which took 1.9 s with 3,000 of them.
const DUE = `from scheduler.jobs j
    where j.wake_time <= $1 and j.wake_time > $3 and j.project_id <> all ($4::text[])
      and j.uid not in (select s.id from scheduler.set_aside s where s.kind = 'job')
    order by j.wake_time limit $2`;

/**
 * Claims jobs with a wake time after $3 and up to $1: at most $2, earliest first, without those that are set aside,
 * without those of the projects $4, and without those that another scheduler has locked.
 */
export const jobClaimDue = statement<TurnRow>(
  "jobClaimDue",
  `select ${COLUMNS} ${DUE} for no key update of j skip locked`,
);

/**
 * Tells whether jobs have a wake time after $2 and up to $1, whether any have one after $3 and up to $2, and whether any
 * that are set aside are to be tried again at $1 and have a wake time up to $1.
 */
export const jobsDueWork = statement<{ on_time: boolean; late: boolean; set_aside: boolean }>(
  "jobsDueWork",
  `select exists (select from scheduler.jobs where wake_time <= $1 and wake_time > $2) as on_time,
          exists (select from scheduler.jobs where wake_time <= $2 and wake_time > $3) as late,
          exists (select from scheduler.set_aside s join scheduler.jobs j on j.uid = s.id
                   where s.kind = 'job' and s.retry_time <= $1 and j.wake_time <= $1) as set_aside`,
);

/** A job that a claim would return. */
export type ListedJob = Pick<TurnRow, "uid" | "project_id">;

/** Lists the jobs that `jobClaimDue` would claim, locked or not. Reads nothing of them that may be damaged. */
export const jobListDue = statement<ListedJob>("jobListDue", `select j.uid, j.project_id ${DUE}`);

const SET_ASIDE = `from scheduler.set_aside s join scheduler.jobs j on j.uid = s.id
    where s.kind = 'job' and s.retry_time <= $1 and j.wake_time <= $1
    order by s.retry_time limit $2`;

/** Claims jobs that are set aside and are to be tried again at $1: at most $2, the longest waiting first. */
export const jobClaimSetAside = statement<TurnRow>(
  "jobClaimSetAside",
  `select ${COLUMNS} ${SET_ASIDE} for no key update of j skip locked`,
);

/** Lists the jobs that `jobClaimSetAside` would claim, like `jobListDue`. */
export const jobListSetAside = statement<ListedJob>(
  "jobListSetAside",
  `select j.uid, j.project_id ${SET_ASIDE}`,
);

/** Claims those of the jobs $2 that have a wake time up to $1, without those that another scheduler has locked. */
export const jobClaimThese = statement<TurnRow>(
  "jobClaimThese",
  `select ${COLUMNS} from scheduler.jobs j
    where j.uid = any ($2::text[]) and j.wake_time <= $1
    order by j.wake_time for no key update of j skip locked`,
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
 * Writes changes, each of which begins a new epoch of its job. The arrays are: uids, states, revisions, epochs, cursors,
 * last fire times, last sequence numbers, wake times, carries as JSON text, pause notes, ends of the pauses, times of the
 * changes, after_times of the epochs, whether each job is deleted when it finishes, and why EasyCron has paused or
 * disabled it, as JSON text. A job that is set aside is tried
 * again at once, because the change may have mended it.
 */
export const jobsChange = statement<{ uid: string }>(
  "jobsChange",
  `with changed as materialized (
     select * from unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::timestamptz[], $6::timestamptz[],
                          $7::integer[], $8::timestamptz[], $9::text[], $10::text[], $11::timestamptz[],
                          $12::timestamptz[], $13::timestamptz[], $14::boolean[], $15::text[])
                     as given (uid, state, revision, epoch, next_fire_time, last_fire_time, last_seq, wake_time, carry,
                               pause_note, pause_until, update_time, after_time, delete_finished, disable_reason)
   ), retried as (
     update scheduler.set_aside a set retry_time = changed.update_time
       from changed where a.kind = 'job' and a.id = changed.uid
   )
   update scheduler.jobs j
      set state = changed.state, revision = changed.revision, epoch = changed.epoch,
          next_fire_time = changed.next_fire_time, last_fire_time = changed.last_fire_time, last_seq = changed.last_seq,
          wake_time = changed.wake_time, carry = changed.carry::jsonb, pause_note = changed.pause_note,
          pause_until = changed.pause_until, update_time = changed.update_time, after_time = changed.after_time,
          delete_finished = changed.delete_finished, disable_reason = changed.disable_reason::jsonb
     from changed where j.uid = changed.uid returning j.uid`,
);

/** Writes the carry and the wake time of a job. */
export const jobCarry = statement<{ uid: string }>(
  "jobCarry",
  `update scheduler.jobs set carry = $2::jsonb, wake_time = $3 where uid = $1 returning uid`,
);

/** A trigger that a change withdrew, or (`kept`) the last trigger after the change that stays. */
export interface WithdrawnRow {
  readonly job_uid: string;
  readonly kept: boolean;
  readonly fire_time: number;
  readonly seq: number;
  readonly previous_fire_time: number | null;
  readonly previous_skipped: number;
  readonly previous_missed: number;
}

/**
 * Withdraws the scheduled triggers of the jobs $1 that are due later than $2 and have not started, job by job in the
 * order of the array. A trigger stays if a later one of its job has started. Also returns the last trigger of each job
 * with a fire time after $2 that stays, if any. The triggers of a job are in the order of their sequence numbers.
 */
export const jobsWithdraw = statement<WithdrawnRow>(
  "jobsWithdraw",
  `select wanted.uid as job_uid, withdrawn.*
     from unnest($1::text[]) as wanted (uid) cross join lateral dispatcher.withdraw(wanted.uid, $2) as withdrawn
    order by wanted.uid, withdrawn.kept, withdrawn.seq`,
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
 * Returns finished jobs to delete at $2, at most $1: those without an unfinished trigger and without a running backfill,
 * and without those whose deletion is set aside. A function of the dispatcher finds the triggers, because the scheduler
 * may not read the dispatcher's tables.
 */
export const jobsToDelete = statement<{ uid: string; project_id: string; name: string; epoch: number }>(
  "jobsToDelete",
  `with finished as materialized (
     select j.uid, j.project_id, j.name, j.epoch from scheduler.jobs j
      where j.delete_finished and j.state = 'FINISHED'
        and j.uid not in (select s.id from scheduler.set_aside s where s.kind = 'deletion' and s.retry_time > $2)
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
    where project_id = $1 and state = 'ACTIVE' and coalesce(next_fire_time, 'infinity') < $2
    order by coalesce(next_fire_time, 'infinity') limit $3`,
);

/** Cancels the unfinished triggers of the deleted jobs $1 at $2, job by job in the order of the array. */
export const jobsCancelTriggers = statement<{ cancel: string }>(
  "jobsCancelTriggers",
  `select dispatcher.cancel(deleted.uid, $2)::text as cancel from unnest($1::text[]) as deleted (uid)`,
);
