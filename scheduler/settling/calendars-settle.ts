import type { Queryable } from "../../db/pool.ts";
import type { Job } from "../../gen/easycron/v1/job_pb.ts";
import type { Logger } from "../../mesh/logger.ts";
import { jobCalendarsBehind, jobCalendarsSettled } from "../calendars/calendars.sql.ts";
import { hasEdges, withSnapshots } from "../calendars/edges.ts";
import { type SettledJob, settleJob, unchanged, writeChange } from "../changes/change-job.ts";
import { lockIfLiving } from "../changes/lock-job.ts";
import { addRevision } from "../changes/write-revision.ts";
import { fromSpecJson, toSpecJson } from "../job/job.ts";
import type { Parts } from "../parts.ts";
import { compileSchedule } from "../schedules/compiled-schedule.ts";

/** Most jobs of one transaction: their rows stay locked until it ends, well within the look-ahead. */
const BATCH = 100;
const EVERY_MS = 10_000;

/**
 * Settles the living jobs that refer to a calendar which has changed (to any, if `calendarUid` is null): what was
 * handed over ahead of time by the old version is taken back, and the next tick judges it by the version in force.
 * Returns how many. It may be interrupted anywhere and run again: each job keeps the version it was settled by.
 */
export async function settleCalendar(parts: Parts, calendarUid: string | null): Promise<number> {
  let settled = 0;
  for (;;) {
    const jobs = await parts.database.query(jobCalendarsBehind, [BATCH, calendarUid]);
    if (jobs.length === 0) break;
    await parts.database.transaction(async (tx) => {
      for (const job of jobs) {
        // First, so that a calendar that changes meanwhile leaves the job behind again.
        await tx.query(jobCalendarsSettled, [job.uid]);
        await settleByCalendars(parts, tx, job);
      }
    });
    settled += jobs.length;
  }
  if (settled > 0) parts.wake();
  return settled;
}

async function settleByCalendars(
  parts: Parts,
  tx: Queryable,
  reference: { readonly project_id: string; readonly name: string },
): Promise<void> {
  const row = await lockIfLiving(tx, reference);
  if (row === undefined) return;
  const job = fromSpecJson(row.spec);
  // Nothing of a paused job is handed over; its cursor is computed when it is resumed.
  if (row.state !== "ACTIVE" && !hasEdges(job)) return;
  const settled = await settleJob(tx, parts, row);
  if (hasEdges(job)) await renewSnapshots(parts, tx, settled, job);
  else await writeChange(tx, parts, settled, unchanged(parts, settled));
}

// The fire times themselves are the calendar's: the job has a new revision.
async function renewSnapshots(parts: Parts, tx: Queryable, settled: SettledJob, former: Job): Promise<void> {
  const { row, changeTimeMs } = settled;
  const job = await withSnapshots(tx, row.project_id, former);
  const revision = row.revision + 1;
  const zoneData = parts.zoneData.inForce(changeTimeMs);
  const spec = toSpecJson(job);
  await addRevision(tx, settled, { number: revision, spec, actor: "", zoneData: zoneData.version });
  const schedule = compileSchedule(job, row.uid, { zoneData });
  await writeChange(tx, parts, settled, { ...unchanged(parts, settled), revision, schedule });
}

/** Every ten seconds settles what an interrupted change of a calendar has left; a failure is logged and made up for. */
export function startSettling(parts: Parts, logger: Logger): { stop(): void } {
  const timer = setInterval(() => {
    settleCalendar(parts, null).catch((error: unknown) =>
      logger.warn({ err: error }, "jobs were not settled after a change of a calendar"),
    );
  }, EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
