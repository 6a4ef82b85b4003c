import { statement } from "../../db/statement.ts";
import type { SpecRow } from "./spec.ts";

/**
 * Reads the specifications of the given (job, revision) pairs, as text: a specification that PostgreSQL read as JSON
 * could make the statement fail for the others too. The limit of 1 keeps the planner from making another join of it than
 * one look-up in the index for each pair.
 */
export const specByRevision = statement<SpecRow>(
  "specByRevision",
  `select r.job_uid, r.revision, r.spec
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
    cross join lateral (
      select job_uid, revision, spec from scheduler.revisions
       where job_uid = wanted.job_uid and revision = wanted.revision limit 1) as r`,
);
