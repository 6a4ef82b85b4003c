import { statement } from "../../db/statement.ts";

/**
 * Changes the rows that lists select jobs of the project $1 by. The first arrays are the rows to remove: jobs ($2), names
 * ($3), facets ($4) and values ($5). The others are the rows to add, in the same order ($6 to $9).
 */
export const jobFacetsChange = statement<{ job_uid: string }>(
  "jobFacetsChange",
  `with gone as (
     delete from scheduler.job_facets f
      using unnest($2::text[], $3::text[], $4::text[], $5::text[]) as old (job_uid, name, facet, value)
      where f.project_id = $1 and f.facet = old.facet and f.value = old.value and f.name = old.name
        and f.job_uid = old.job_uid
   )
   insert into scheduler.job_facets (project_id, facet, value, name, job_uid)
   select $1, facet, value, name, job_uid
     from unnest($6::text[], $7::text[], $8::text[], $9::text[]) as new (job_uid, name, facet, value)
   on conflict do nothing returning job_uid`,
);
