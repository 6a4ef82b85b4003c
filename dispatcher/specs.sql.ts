import { statement } from "../db/statement.ts";
import type { SpecRow } from "./spec.ts";

/** The specifications of (job, revision) pairs, as far as a dispatcher needs them; the payload as its text. */
export const specByRevision = statement<SpecRow>(
  "specByRevision",
  `select r.job_uid, r.revision, r.spec -> 'target' as target, r.spec -> 'retryPolicy' as retry_policy,
          r.spec ->> 'attemptTimeout' as attempt_timeout, (r.spec -> 'payload')::text as payload
     from unnest($1::text[], $2::integer[]) as wanted (job_uid, revision)
     join scheduler.revisions r on r.job_uid = wanted.job_uid and r.revision = wanted.revision`,
);
