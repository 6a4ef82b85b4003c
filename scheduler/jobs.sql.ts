import { statement } from "../db/statement.ts";
import type { JobRow } from "./job.ts";

const COLUMNS = `j.uid, j.project_id, j.name, j.state, j.revision, j.epoch, j.next_fire_time, j.last_fire_time,
  j.last_seq, j.pause_note, j.create_time, j.update_time`;
const WITH_SPEC = `${COLUMNS}, r.spec::text as spec
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision`;

/** Adds a job: uid, project, name, state of revision 1, cursor, time. */
export const jobInsert = statement<{ uid: string }>(
  "jobInsert",
  `insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, next_fire_time, create_time, update_time)
   values ($1, $2, $3, 'ACTIVE', 1, 1, $4, $5, $5) returning uid`,
);

/** The project's living job of a name. */
export const jobByName = statement<JobRow>(
  "jobByName",
  `select ${WITH_SPEC} where j.project_id = $1 and j.name = $2 and j.state <> 'DELETED'`,
);

/** One of the project's jobs, deleted or not. */
export const jobByUid = statement<JobRow>(
  "jobByUid",
  `select ${WITH_SPEC} where j.project_id = $1 and j.uid = $2`,
);

/** The ids of all jobs that have had a name, newest first. */
export const jobUidsByName = statement<{ uid: string }>(
  "jobUidsByName",
  `select uid from scheduler.jobs where project_id = $1 and name = $2 order by create_time desc, uid desc limit 100`,
);

/** A page of the project's living jobs with a name greater than $2. */
export const jobsAfterName = statement<JobRow>(
  "jobsAfterName",
  `select ${WITH_SPEC} where j.project_id = $1 and j.name collate "C" > $2 and j.state <> 'DELETED'
   order by j.name collate "C" limit $3`,
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
 * Claims jobs whose cursor is due by $1, earliest first, at most $2, without those in $3 and without those that
 * another scheduler holds.
 */
export const jobClaimDue = statement<Omit<JobRow, "spec">>(
  "jobClaimDue",
  `select ${COLUMNS} from scheduler.jobs j
    where j.next_fire_time <= $1 and j.uid <> all ($3::text[])
    order by j.next_fire_time limit $2 for no key update skip locked`,
);

/** Moves the cursors and the chains of jobs whose fire times have been handed over. */
export const jobAdvance = statement<{ uid: string }>(
  "jobAdvance",
  `update scheduler.jobs j
      set next_fire_time = moved.next_fire_time, last_fire_time = moved.last_fire_time, last_seq = moved.last_seq
     from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::integer[])
       as moved (uid, next_fire_time, last_fire_time, last_seq)
    where j.uid = moved.uid`,
);

/** Writes a change: state, revision, cursor, chain, note; raises the epoch. */
export const jobChange = statement<{ epoch: number }>(
  "jobChange",
  `update scheduler.jobs
      set state = $2, revision = $3, epoch = epoch + 1, next_fire_time = $4, last_fire_time = $5, last_seq = $6,
          pause_note = $7, update_time = $8
    where uid = $1 returning epoch`,
);

/** Takes back what was handed over for later than $2 and has not started; tells how far the chain goes back. */
export const jobWithdraw = statement<{
  first_seq: number | null;
  first_previous_fire_time: number | null;
  kept_seq: number | null;
  kept_fire_time: number | null;
}>("jobWithdraw", `select * from dispatcher.withdraw($1, $2)`);

/** Cancels the triggers of a deleted job that have not come to rest. */
export const jobCancelTriggers = statement<{ cancel: string }>(
  "jobCancelTriggers",
  `select dispatcher.cancel($1, $2)::text as cancel`,
);
