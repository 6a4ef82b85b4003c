import type { Queryable } from "../../db/pool.ts";
import type { Calendar } from "../../gen/easycron/v1/calendar_pb.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import { hasEdges, withSnapshots } from "../calendars/edges.ts";
import {
  type ChangeParts,
  type PreparedChange,
  type PreparedJob,
  prepareJobs,
  unchanged,
  writeChanges,
} from "../changes/change-job.ts";
import { addRevisions, type NewRevision } from "../changes/write-revision.ts";
import { checkTurnRow, fromSpecJson, type JobRow, toSpecJson } from "../job/job.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";
import { createYield } from "../schedules/slices.ts";

/** A locked job that is to be brought up to date with its calendars. */
export interface ReferringJob {
  readonly row: JobRow;
  /** The specification if fire times of the job are the openings or closings of a calendar; else undefined. */
  readonly edges: Job | undefined;
}

/**
 * Returns what is to be brought up to date; undefined if the job needs no change. A deleted job needs none. Neither does
 * a paused one, because it has no triggers that were handed over and its cursor is computed when it is resumed, unless
 * its fire times are the openings or closings of a calendar. Throws an error if the job cannot be read or its schedule
 * cannot be compiled.
 */
export function toReferringJob(
  { schedules }: Pick<ChangeParts, "schedules">,
  row: JobRow,
): ReferringJob | undefined {
  if (row.state === "DELETED") return undefined;
  const job = fromSpecJson(row.spec);
  const edges = hasEdges(job) ? job : undefined;
  if (row.state !== "ACTIVE" && edges === undefined) return undefined;
  checkTurnRow(row);
  // The revision of a job with edges is replaced, so its schedule need not be usable.
  if (edges === undefined) schedules.of(row);
  return { row, edges };
}

/**
 * Brings locked jobs up to date with their calendars, in a number of statements that does not depend on how many they
 * are. An active job begins a new epoch, and its triggers that were handed over ahead of time are taken back; the next
 * tick decides their fire times with the versions in effect. A job whose fire times are the openings or closings of a
 * calendar gets a new revision.
 */
export async function settleReferringJobs(
  tx: Queryable,
  parts: ChangeParts,
  jobs: readonly ReferringJob[],
): Promise<void> {
  const prepared = await prepareJobs(
    tx,
    parts,
    jobs.map(({ row }) => row),
  );
  const snapshots = new Map<string, Calendar>();
  const revisions: { readonly job: PreparedJob; readonly revision: NewRevision }[] = [];
  const changes: PreparedChange[] = [];
  const yieldOften = createYield();
  for (const [index, job] of prepared.entries()) {
    const edges = jobs[index]?.edges;
    if (edges === undefined) changes.push({ job, change: unchanged(parts, job) });
    else {
      const { revision, change } = await renewSnapshots(tx, parts, job, edges, snapshots);
      revisions.push({ job, revision });
      changes.push(change);
    }
    await yieldOften();
  }
  await addRevisions(tx, revisions);
  await writeChanges(tx, parts, changes);
}

async function renewSnapshots(
  tx: Queryable,
  parts: ChangeParts,
  job: PreparedJob,
  former: Job,
  snapshots: Map<string, Calendar>,
): Promise<{ readonly revision: NewRevision; readonly change: PreparedChange }> {
  const { row, changeTimeMs } = job;
  const renewed = await withSnapshots(tx, row.project_id, former, snapshots);
  const revision = row.revision + 1;
  const zoneData = parts.zoneData.inForce(changeTimeMs);
  const schedule = compileSchedule(renewed, row.uid, { zoneData });
  return {
    revision: { number: revision, spec: toSpecJson(renewed), actor: "", zoneData: zoneData.version },
    change: { job, change: { ...unchanged(parts, job), revision, schedule } },
  };
}
