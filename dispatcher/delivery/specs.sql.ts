import { statement } from "../../db/statement.ts";
import type { SpecRow } from "./spec.ts";

/**
 * The specifications of the jobs $1 in the revisions $2, each with each, as far as a dispatcher needs them; the payload
 * as its text.
 */
export const specByRevision = statement<SpecRow>(
  "specByRevision",
  `select r.job_uid, r.revision, r.spec -> 'target' as target, r.spec -> 'retryPolicy' as retry_policy,
          r.spec ->> 'attemptTimeout' as attempt_timeout, (r.spec -> 'payload')::text as payload
     from scheduler.revisions r where r.job_uid = any ($1::text[]) and r.revision = any ($2::integer[])`,
);
