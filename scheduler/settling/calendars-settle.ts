import type { Queryable } from "../../db/pool.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { Logger } from "../../mesh/logger.ts";
import { jobCalendarsBehind, jobCalendarsSettled } from "../calendars/calendars.sql.ts";
import { hasEdges, withSnapshots } from "../calendars/edges.ts";
import {
  type ChangeParts,
  type PreparedJob,
  prepareJob,
  unchanged,
  writeChange,
} from "../changes/change-job.ts";
import { lockIfLiving } from "../changes/lock-job.ts";
import { addRevision } from "../changes/write-revision.ts";
import { fromSpecJson, toSpecJson } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";

/** The most jobs of one transaction. Their rows stay locked until it ends, which must be well within the look-ahead. */
const BATCH = 100;
const EVERY_MS = 10_000;

/** What settling a job takes. */
export type SettleParts = ChangeParts & Pick<Parts, "database" | "wake">;

/**
 * Settles the jobs that refer to a changed calendar: to this one, or to any if `calendarUid` is null. Returns how many.
 *
 * Triggers that were handed over ahead of time under the old version are taken back. The next tick decides their fire
 * times with the version in effect. It may be interrupted at any point and run again, because each job records the
 * version with which it was settled.
 */
export async function settleCalendar(parts: SettleParts, calendarUid: string | null): Promise<number> {
  let settled = 0;
  for (;;) {
    const jobs = await parts.database.query(jobCalendarsBehind, [BATCH, calendarUid]);
    if (jobs.length === 0) break;
    await parts.database.transaction(async (tx) => {
      for (const job of jobs) {
        // This comes first. If the calendar changes again meanwhile, the job is found and settled once more.
        await tx.query(jobCalendarsSettled, [job.uid]);
        await settleReferringJob(parts, tx, job);
      }
    });
    settled += jobs.length;
  }
  if (settled > 0) parts.wake();
  return settled;
}

async function settleReferringJob(
  parts: SettleParts,
  tx: Queryable,
  reference: { readonly project_id: string; readonly name: string },
): Promise<void> {
  const row = await lockIfLiving(tx, reference);
  if (row === undefined) return;
  const job = fromSpecJson(row.spec);
  // A paused job has no triggers that were handed over. Its cursor is computed when it is resumed.
  if (row.state !== "ACTIVE" && !hasEdges(job)) return;
  const settled = await prepareJob(tx, parts, row);
  if (hasEdges(job)) await renewSnapshots(parts, tx, settled, job);
  else await writeChange(tx, parts, settled, unchanged(parts, settled));
}

// The fire times of this job are the openings or closings of the calendar, so the job gets a new revision.
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

/**
 * Every ten seconds settles the jobs that an interrupted change of a calendar has left unsettled. A failure is logged,
 * and the next round tries again.
 */
export function startSettling(parts: SettleParts, logger: Logger): { stop(): void } {
  const timer = setInterval(() => {
    settleCalendar(parts, null).catch((error: unknown) =>
      logger.warn(
        { err: error },
        "cannot settle the jobs of a changed calendar; trying again in ten seconds",
      ),
    );
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
