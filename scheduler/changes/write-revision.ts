import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { currentCall } from "../../mesh/current-call.ts";
import { toFacetsJson } from "../job/facets.ts";
import { fromSpecJson } from "../job/job.ts";
import { revisionsInsert } from "../job/revisions.sql.ts";
import { changeFacets } from "./change-facets.ts";
import type { PreparedJob } from "./change-job.ts";

/** A revision to be added to a job after its first. */
export interface NewRevision {
  readonly number: number;
  /** The specification as proto3 JSON text. */
  readonly spec: string;
  /** The id of the API key; empty if EasyCron adds the revision by itself. */
  readonly actor: string;
  /** The release of the zone database that its fire times are computed with. */
  readonly zoneData: string;
}

/**
 * Adds revisions to prepared jobs, in one statement. Also stores how many triggers each job has had and its last waiting
 * fire time. So the difference that a revision makes can still be computed when the job's row has moved on.
 */
export async function addRevisions(
  tx: Queryable,
  revisions: readonly { readonly job: PreparedJob; readonly revision: NewRevision }[],
): Promise<void> {
  if (revisions.length === 0) return;
  const jobs = revisions.map(({ job }) => job);
  const added = revisions.map(({ revision }) => revision);
  const specs = added.map(({ spec }) => fromSpecJson(spec));
  await tx.query(revisionsInsert, [
    jobs.map(({ row }) => row.uid),
    added.map(({ number }) => number),
    added.map(({ spec }) => spec),
    jobs.map(({ changeTimeMs }) => toSqlTime(changeTimeMs)),
    added.map(({ actor }) => actor),
    added.map(({ zoneData }) => zoneData),
    jobs.map(({ position }) => position.lastSeq + position.carry.waiting.length),
    jobs.map(({ position }) => toSqlTimeOrNull(position.carry.waiting.at(-1))),
    specs.map(toFacetsJson),
    currentCall()?.traceparent ?? null,
  ]);
  await changeFacets(
    tx,
    jobs.map(({ row }, index) => ({ row, after: specs[index] })),
  );
}
