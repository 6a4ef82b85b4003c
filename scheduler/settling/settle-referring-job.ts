import type { Queryable } from "../../db/pool.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { hasEdges, withSnapshots } from "../calendars/edges.ts";
import {
  type ChangeParts,
  type PreparedJob,
  prepareJob,
  unchanged,
  writeChange,
} from "../changes/change-job.ts";
import { addRevision } from "../changes/write-revision.ts";
import { fromSpecJson, type JobRow, toSpecJson } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";

/** What settling a job takes. */
export type SettleParts = ChangeParts & Pick<Parts, "database" | "wake">;

/**
 * Brings a locked job up to date with its calendars. An active job begins a new epoch, and its triggers that were handed
 * over ahead of time are taken back; the next tick decides their fire times with the versions in effect. A job whose
 * fire times are the openings or closings of a calendar gets a new revision.
 */
export async function settleReferringJob(parts: SettleParts, tx: Queryable, row: JobRow): Promise<void> {
  if (row.state === "DELETED") return;
  const job = fromSpecJson(row.spec);
  // A paused job has no triggers that were handed over. Its cursor is computed when it is resumed.
  if (row.state !== "ACTIVE" && !hasEdges(job)) return;
  const settled = await prepareJob(tx, parts, row);
  if (hasEdges(job)) await renewSnapshots(parts, tx, settled, job);
  else await writeChange(tx, parts, settled, unchanged(parts, settled));
}

async function renewSnapshots(
  parts: SettleParts,
  tx: Queryable,
  settled: PreparedJob,
  former: Job,
): Promise<void> {
  const { row, changeTimeMs } = settled;
  const job = await withSnapshots(tx, row.project_id, former);
  const revision = row.revision + 1;
  const zoneData = parts.zoneData.inForce(changeTimeMs);
  const spec = toSpecJson(job);
  await addRevision(tx, settled, { number: revision, spec, actor: "", zoneData: zoneData.version });
  const schedule = compileSchedule(job, row.uid, { zoneData });
  await writeChange(tx, parts, settled, { ...unchanged(parts, settled), revision, schedule });
}
