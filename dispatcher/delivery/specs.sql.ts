import { statement } from "../../db/statement.ts";
import type { SpecRow } from "./spec.ts";

/**
 * Reads the specifications of the jobs $1 in the revisions $2 (each job in each revision), only the parts that a
 * dispatcher needs. The payload is returned as JSON text.
 */
export const specByRevision = statement<SpecRow>(
  "specByRevision",
  `select r.job_uid, r.revision, r.spec -> 'target' as target, r.spec -> 'retryPolicy' as retry_policy,
          r.spec ->> 'attemptTimeout' as attempt_timeout, (r.spec -> 'payload')::text as payload,
          r.spec ->> 'overlapPolicy' as overlap_policy
     from scheduler.revisions r where r.job_uid = any ($1::text[]) and r.revision = any ($2::integer[])`,
);
