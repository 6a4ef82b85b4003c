import { statement } from "../../db/statement.ts";
import type { JobRow } from "../job/job.ts";
import { PASSES_FILTER } from "../reading/job-filter.sql.ts";

/** The columns of a job that batches need. Times are epoch milliseconds. */
export type BatchRow = Pick<
  JobRow,
  "uid" | "name" | "state" | "epoch" | "revision" | "pause_note" | "pause_until" | "disable_reason" | "spec"
>;

const BATCH = `j.uid, j.name, j.state, j.epoch, j.revision, j.pause_note, j.pause_until, j.disable_reason, r.spec
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
