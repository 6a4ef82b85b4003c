import type { Queryable } from "../../db/pool.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { type ListedFacet, listedFacets } from "../job/facets.ts";
import { type JobRow, readSpecOrNone } from "../job/job.ts";
import { jobFacetsChange } from "../job/job-facets.sql.ts";

/** A job whose facets may change: its row before the change, and its specification after it. */
export interface FacetChange {
  readonly row: JobRow;
  /** Undefined when the job is deleted. */
  readonly after: Job | undefined;
}

type FacetRow = ListedFacet & { readonly uid: string; readonly name: string };

/**
 * Writes the rows that lists select jobs by, after their labels or targets have changed, in one statement for all jobs of
 * a project. Most changes leave them as they are, and need no statement.
 */
export async function changeFacets(tx: Queryable, changes: readonly FacetChange[]): Promise<void> {
  const byProject = Map.groupBy(changes, ({ row }) => row.project_id);
  for (const [projectId, ofProject] of byProject) {
    const removed: FacetRow[] = [];
    const added: FacetRow[] = [];
    for (const { row, after } of ofProject) {
      const [before, now] = [listedFacets(readSpecOrNone(row.spec)), after ? listedFacets(after) : []];
      removed.push(...toRows(row, without(before, now)));
      added.push(...toRows(row, without(now, before)));
    }
    if (removed.length + added.length === 0) continue;
    await tx.query(jobFacetsChange, [projectId, ...columnsOf(removed), ...columnsOf(added)]);
  }
}

function without(facets: readonly ListedFacet[], others: readonly ListedFacet[]): ListedFacet[] {
  return facets.filter(
    ({ facet, value }) => !others.some((other) => other.facet === facet && other.value === value),
  );
}

function toRows({ uid, name }: JobRow, facets: readonly ListedFacet[]): FacetRow[] {
  return facets.map((facet) => ({ uid, name, ...facet }));
}

function columnsOf(rows: readonly FacetRow[]): string[][] {
  return [
    rows.map(({ uid }) => uid),
    rows.map(({ name }) => name),
    rows.map(({ facet }) => facet),
    rows.map(({ value }) => value),
  ];
}
