import { statement } from "../db/statement.ts";

/** Adds a revision: job, number, specification as JSON text, time, who, and the zone data that its fire times are by. */
export const revisionInsert = statement<{ revision: number }>(
  "revisionInsert",
  `insert into scheduler.revisions (job_uid, revision, spec, create_time, actor, zone_data)
   values ($1, $2, $3::json, $4, $5, $6)
   returning revision`,
);

/** The specifications of the given (job, revision) pairs. */
export const revisionsByJob = statement<{
  job_uid: string;
  revision: number;
  spec: string;
  zone_data: string;
}>(
  "revisionsByJob",
  `select r.job_uid, r.revision, r.spec::text as spec, r.zone_data
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
     join scheduler.revisions r using (job_uid, revision)`,
);

/** A revision with the job it belongs to. */
export interface RevisionRow {
  readonly uid: string;
  readonly name: string;
  readonly revision: number;
  readonly spec: string;
  readonly actor: string;
  readonly zone_data: string;
  readonly create_time: number;
}

const REVISION = `j.uid, j.name, r.revision, r.spec::text as spec, r.actor, r.zone_data, r.create_time
  from scheduler.jobs j join scheduler.revisions r on r.job_uid = j.uid`;

/** A page of the revisions of the project's living job of a name, newest first, of those less than $3. */
export const revisionsBefore = statement<RevisionRow>(
  "revisionsBefore",
  `select ${REVISION} where j.project_id = $1 and j.name = $2 and j.state <> 'DELETED' and r.revision < $3
    order by r.revision desc limit $4`,
);

/** Two revisions of the project's living job of a name: that of number $3, and the one before it. */
export const revisionWithPrevious = statement<RevisionRow>(
  "revisionWithPrevious",
  `select ${REVISION} where j.project_id = $1 and j.name = $2 and j.state <> 'DELETED'
      and r.revision between $3 - 1 and $3
    order by r.revision desc`,
);
