import type { SqlValue } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import type { JobFilter } from "./job-filter.ts";

// Read only when a condition needs them, because they are in another table.
const FACETS = `(select r.facets from scheduler.revisions r where r.job_uid = j.uid and r.revision = j.revision)`;

/**
 * The SQL condition that a job `j` matches a filter. $1 to $8 are the values that `toFilterValues` returns. It reads the
 * facets of the current revision, never its specification, which is the customer's text.
 */
export const PASSES_FILTER = `j.project_id = $1 and j.state <> 'DELETED'
      and case when j.state = 'ACTIVE' and j.pause_until > $2::timestamptz then 'PAUSED' else j.state end = any ($3::text[])
      and j.name = all ($4::text[]) and j.name ^@ all ($5::text[])
      and (cardinality($6::text[]) = 0 or ${FACETS} -> 'labels' @> all ($6::text[]::jsonb[]))
      and (cardinality($7::text[]) = 0 or ${FACETS} -> 'labels' ?& $7::text[])
      and (cardinality($8::text[]) = 3 or ${FACETS} ->> 'target' = any ($8::text[]))`;

/** Returns the values of `PASSES_FILTER`. A job's state is the one that it has at `nowMs`. */
export function toFilterValues(projectId: string, filter: JobFilter, nowMs: number): SqlValue[] {
  return [
    projectId,
    toSqlTime(nowMs),
    filter.states,
    filter.names,
    filter.prefixes,
    filter.labels.map(([key, value]) => JSON.stringify({ [key]: value })),
    filter.labelKeys,
    filter.targets,
  ];
}
