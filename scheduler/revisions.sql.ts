import { statement } from "../db/statement.ts";

/** Adds a revision: job, number, specification as JSON text, time. */
export const revisionInsert = statement<{ revision: number }>(
  "revisionInsert",
  `insert into scheduler.revisions (job_uid, revision, spec, create_time) values ($1, $2, $3::json, $4)
   returning revision`,
);

/** The specifications of the given (job, revision) pairs. */
export const revisionsByJob = statement<{ job_uid: string; revision: number; spec: string }>(
  "revisionsByJob",
  `select r.job_uid, r.revision, r.spec::text as spec
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
     join scheduler.revisions r using (job_uid, revision)`,
);
