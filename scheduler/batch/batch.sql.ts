import { statement } from "../../db/statement.ts";
import type { JobRow } from "../job/job.ts";
import { PASSES_FILTER } from "../reading/job-filter.sql.ts";

/**
 * Inserts jobs of the project $1 with revision 1 at the time $7, and marks them for auditing. The arrays are: ids ($2),
 * names ($3), states ($4), cursors ($5), wake times ($6), and whether each job is deleted when it finishes ($8). A job
 * whose name is in use is not inserted. Returns the ids of the inserted jobs.
 */
export const jobsInsertIfNew = statement<{ uid: string }>(
  "jobsInsertIfNew",
  `with job as (
     insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, next_fire_time, wake_time, after_time,
            create_time, update_time, delete_finished)
     select g.uid, $1, g.name, g.state, 1, 1, g.cursor, g.wake, $7, $7, $7, g.delete_finished
       from unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $8::boolean[])
         as g (uid, name, state, cursor, wake, delete_finished)
     on conflict (project_id, name collate "C") where state <> 'DELETED' do nothing
     returning uid
   )
   insert into scheduler.audits (job_uid, audited_until, audit_time) select uid, $7, $7 from job
   returning job_uid as uid`,
);

/**
 * Inserts the first revisions of jobs. The arrays are: job ids ($1), specifications as JSON text ($2), zone data releases
 * ($3), and facets as JSON text ($6). $4 is the time, $5 the id of the API key.
 */
export const revisionsInsertFirst = statement<{ job_uid: string }>(
  "revisionsInsertFirst",
  `insert into scheduler.revisions (job_uid, revision, spec, create_time, actor, zone_data, facets)
   select g.uid, 1, g.spec, $4, $5, g.zone_data, g.facets::jsonb
     from unnest($1::text[], $2::text[], $3::text[], $6::text[]) as g (uid, spec, zone_data, facets)
   returning job_uid`,
);

/** Inserts the first epochs of the jobs $1 at the time $2. */
export const epochsInsertFirst = statement<{ job_uid: string }>(
  "epochsInsertFirst",
  `insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, end_time, change_time, note)
   select uid, 1, 'ACTIVE', 1, $2, null, $2, '' from unnest($1::text[]) as uid
   returning job_uid`,
);

/** The columns of a job that batches need. Times are epoch milliseconds. */
export type BatchRow = Pick<
  JobRow,
  "uid" | "name" | "state" | "epoch" | "revision" | "pause_note" | "pause_until" | "spec"
>;

const BATCH = `j.uid, j.name, j.state, j.epoch, j.revision, j.pause_note, j.pause_until, r.spec
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid and r.revision = j.revision`;

/** Reads the project's jobs with the names $2, without deleted ones. */
export const jobsByNames = statement<BatchRow>(
  "jobsByNames",
  `select ${BATCH} where j.project_id = $1 and j.name collate "C" = any ($2::text[]) and j.state <> 'DELETED'`,
);

/** Reads the jobs that match a filter ($1 to $8), ordered by name, at most $9. */
export const jobsByFilter = statement<BatchRow>(
  "jobsByFilter",
  `select ${BATCH} where ${PASSES_FILTER} order by j.name collate "C" limit $9`,
);

/**
 * Stores what is needed to undo a batch: the undo token ($1), project ($2), entries as JSON text ($3), and time ($4).
 */
export const undoInsert = statement<{ uid: string }>(
  "undoInsert",
  `insert into scheduler.undos (uid, project_id, entries, create_time) values ($1, $2, $3::json, $4) returning uid`,
);

/** Reads the undo entries of the project $1 for the undo token $2. */
export const undoByUid = statement<{ entries: string }>(
  "undoByUid",
  `select entries::text as entries from scheduler.undos where project_id = $1 and uid = $2`,
);

/** Deletes undo entries that are older than $1, at most 1,000 at a time. */
export const undoDeleteOlder = statement<{ uid: string }>(
  "undoDeleteOlder",
  `delete from scheduler.undos where uid in (select uid from scheduler.undos where create_time < $1 limit 1000)
   returning uid`,
);
