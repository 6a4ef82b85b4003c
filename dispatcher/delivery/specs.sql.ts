import { statement } from "../../db/statement.ts";
import type { SpecRow } from "./spec.ts";

/**
 * Reads the specifications of the jobs $1 in the revisions $2 (each job in each revision), as text: a specification that
 * PostgreSQL read as JSON could make the statement fail for the others too.
 */
export const specByRevision = statement<SpecRow>(
  "specByRevision",
  `select r.job_uid, r.revision, r.spec
     from scheduler.revisions r where r.job_uid = any ($1::text[]) and r.revision = any ($2::integer[])`,
);
