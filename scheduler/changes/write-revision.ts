import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { toFacetsJson } from "../job/facets.ts";
import { fromSpecJson } from "../job/job.ts";
import { revisionInsert } from "../job/revisions.sql.ts";
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
 * Adds a revision to a prepared job. Also stores how many triggers the job has had and its last waiting fire time. So
 * the difference that the revision makes can still be computed when the job's row has moved on.
 */
export async function addRevision(
  tx: Queryable,
  { row, changeTimeMs, position }: PreparedJob,
  { number, spec, actor, zoneData }: NewRevision,
): Promise<void> {
  const { waiting } = position.carry;
  await tx.query(revisionInsert, [
    row.uid,
    number,
    spec,
    toSqlTime(changeTimeMs),
    actor,
    zoneData,
    position.lastSeq + waiting.length,
    toSqlTimeOrNull(waiting.at(-1)),
    toFacetsJson(fromSpecJson(spec)),
  ]);
}
