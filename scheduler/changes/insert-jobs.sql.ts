import { statement } from "../../db/statement.ts";

/**
 * Inserts jobs of the project $1 at the time $2, made by the API key $3, each with its first revision, its first epoch
 * and the row that its audits start from. The arrays are: ids ($4), names ($5), states ($6), cursors ($7), wake times
 * ($8), whether each job is deleted when it finishes ($9), specifications as JSON text ($10), zone data releases ($11),
 * facets as JSON text ($12), request ids ($13, empty for none), and SHA-256 of the requests in hex ($14). The arrays of
 * the facets that lists select by are: job ids ($15), facets ($16) and values ($17). $18
 * is the traceparent of the call, or null.
 *
 * Returns the ids of the inserted jobs. A job whose request id was used before is left out. If a name is in use, nothing
 * is inserted, and the statement fails by jobs_live_name. The names are inserted in their order, so that two callers with
 * the same names cannot deadlock.
 */
export const jobsInsert = statement<{ uid: string }>(
  "jobsInsert",
  `with given as materialized (
     select * from unnest($4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::boolean[],
                          $10::text[], $11::text[], $12::text[], $13::text[], $14::text[])
                as g (uid, name, state, cursor, wake, delete_finished, spec, zone_data, facets, request_id, fingerprint)
   ), used as (
     insert into scheduler.requests (project_id, request_id, fingerprint, job_uid, create_time)
     select $1, request_id, decode(fingerprint, 'hex'), uid, $2 from given where request_id <> '' order by request_id
     on conflict (project_id, request_id) do nothing returning job_uid
   ), fresh as materialized (
     select * from given where request_id = '' or uid in (select job_uid from used)
   ), job as (
     insert into scheduler.jobs (uid, project_id, name, state, revision, epoch, next_fire_time, wake_time, after_time,
            create_time, update_time, delete_finished)
     select uid, $1, name, state, 1, 1, cursor, wake, $2, $2, $2, delete_finished from fresh order by name collate "C"
   ), revision as (
     insert into scheduler.revisions (job_uid, revision, spec, create_time, actor, zone_data, facets, traceparent)
     select uid, 1, spec, $2, $3, zone_data, facets::jsonb, $18 from fresh
   ), epoch as (
     insert into scheduler.epochs (job_uid, epoch, state, revision, after_time, change_time)
     select uid, 1, 'ACTIVE', 1, $2, $2 from fresh
   ), listed as (
     insert into scheduler.job_facets (project_id, facet, value, name, job_uid)
     select $1, f.facet, f.value, fresh.name, f.uid
       from unnest($15::text[], $16::text[], $17::text[]) as f (uid, facet, value) join fresh on fresh.uid = f.uid
   ), audit as (
     insert into scheduler.audits (job_uid, audited_until, audit_time) select uid, $2, $2 from fresh
   )
   select uid from fresh`,
);
