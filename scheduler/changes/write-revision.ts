import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { revisionInsert } from "../job/revisions.sql.ts";
import type { SettledJob } from "./change-job.ts";

/** What a later revision says. */
export interface NewRevision {
  readonly number: number;
  /** The specification as proto3 JSON text. */
  readonly spec: string;
  /** Id of the API key; empty when EasyCron makes it. */
  readonly actor: string;
  /** The release of the zone database by which its fire times are computed. */
  readonly zoneData: string;
}

/**
 * Adds a revision to a settled job, with where the job stands: what the revision changes is told by that for ever, when
 * the job's row has long gone on.
 */
export async function addRevision(
  tx: Queryable,
  { row, changeTimeMs, position }: SettledJob,
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
  ]);
}
