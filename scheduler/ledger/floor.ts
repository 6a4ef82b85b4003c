import type { Queryable } from "../../db/pool.ts";
import { type EasyCronError, fieldFailure } from "../../mesh/errors.ts";
import { toIso } from "../../mesh/iso-time.ts";
import type { JobRow } from "../job/job.ts";
import { ledgerFloor } from "./ledger.sql.ts";

/**
 * Reads the floor of a project in epoch milliseconds: triggers of earlier fire times may be removed. It is -Infinity while
 * nothing was removed. A snapshot in which a trigger is missing has the floor that says so.
 */
export async function readFloor(on: Queryable, projectId: string): Promise<number> {
  const [row] = await on.query(ledgerFloor, [projectId]);
  return row?.floor_time ?? Number.NEGATIVE_INFINITY;
}

/**
 * Reads from where on the ledger of a job is complete, in epoch milliseconds: the floor of its project, or -Infinity if the
 * job was created after it. Its schedule has no fire times before its creation.
 */
export async function readLedgerStart(
  on: Queryable,
  job: Pick<JobRow, "project_id" | "create_time">,
): Promise<number> {
  const floorMs = await readFloor(on, job.project_id);
  return floorMs > job.create_time ? floorMs : Number.NEGATIVE_INFINITY;
}

/** Makes the error OUT_OF_RETENTION of the field `field`, which has the time `atMs` from before the floor. */
export function outOfRetention(field: string, atMs: number, floorMs: number): EasyCronError {
  const floor = toIso(floorMs);
  const problem = `${toIso(atMs)} is before ${floor}, and what ended before that is no longer kept; give ${floor} or a later time.`;
  return fieldFailure("OUT_OF_RETENTION", field, problem, { floor });
}
