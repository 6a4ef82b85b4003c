import { isItemFault } from "../../db/item-fault.ts";
import { isLockTimeout } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { EasyCronError } from "../../mesh/errors.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import {
  type BehindRow,
  calendarAsked,
  calendarPostponeSettling,
  calendarSettled,
  calendarTryToSettle,
  jobCalendarsBehind,
  jobCalendarsSettled,
  jobsLockFree,
} from "../calendars/calendars.sql.ts";
import { jobByUid } from "../job/jobs.sql.ts";
import { type SettleParts, settleReferringJob } from "./settle-referring-job.ts";

/** A job that could not be settled. */
export interface FailedJob {
  readonly jobUid: string;
  readonly error: unknown;
}

/** One pass over the jobs that are behind a calendar. */
export interface CalendarPass {
  readonly calendarUid: string;
  /** The last job that the pass has looked at. */
  after: BehindRow;
  /** How many jobs it has settled. */
  settled: number;
  readonly failed: FailedJob[];
}

/**
 * What a step came to: `MORE` steps are needed; another process is making a step (`TAKEN`); the calendar is settled
 * (`DONE`), or the pass has come to its end and left jobs out (`POSTPONED`).
 */
export type StepResult = "MORE" | "TAKEN" | "DONE" | "POSTPONED";

/** Most jobs of one transaction, and for how long it settles jobs. Their rows stay locked until it ends. */
const BATCH = 100;
const BATCH_MS = 250;
/** When the next pass begins after one that left out jobs that were locked, and after one that failed on a job. */
const LOCKED_AGAIN_MS = 1_000;
const FAILED_AGAIN_MS = 60_000;

/** Begins a pass at the first job that is behind. */
export function beginPass(calendarUid: string): CalendarPass {
  return { calendarUid, after: { version: 0, uid: "" }, settled: 0, failed: [] };
}

/**
 * Settles the next jobs of a pass in one transaction: at most 100, and for about 250 ms at most. Any number of processes
 * may have passes over one calendar: an advisory lock makes their steps one after the other, and each job records the
 * version that it is up to date with. So each job is settled once, and a pass that is interrupted goes on where it was.
 *
 * A batch that fails is taken apart; the jobs that fail alone are left behind (`failed`), and so are those that another
 * transaction has locked. A later pass settles them. Throws SERVICE_UNAVAILABLE.
 */
export async function stepPass(parts: SettleParts, pass: CalendarPass): Promise<StepResult> {
  const { calendarUid, after } = pass;
  const jobs = await parts.database.query(jobCalendarsBehind, [calendarUid, after.version, after.uid, BATCH]);
  if (jobs.length === 0) return endPass(parts, pass);
  const work = (part: readonly BehindRow[]) => settleJobs(parts, calendarUid, part);
  const { results, failed } = await takeApart(jobs, work, { isItemFault: leavesJobForLater });
  for (const { settled } of results) pass.settled += settled;
  if (results.some(({ isTaken }) => isTaken)) return "TAKEN";
  const left = new Set(results.flatMap(({ left }) => left));
  // A job that there was no time for must come again, and a later one may have been handled before it.
  const firstLeft = jobs.findIndex((job) => left.has(job));
  const handled = firstLeft === -1 ? jobs : jobs.slice(0, firstLeft);
  const handledUids = new Set(handled.map(({ uid }) => uid));
  for (const { item, error } of failed)
    if (handledUids.has(item.uid)) pass.failed.push({ jobUid: item.uid, error });
  pass.after = handled.at(-1) ?? after;
  return "MORE";
}

/** What became of the jobs of one transaction. */
interface SettledJobs {
  /** Whether another process is settling jobs of the calendar: nothing was done. */
  readonly isTaken: boolean;
  readonly settled: number;
  /** The jobs that there was no time for. */
  readonly left: readonly BehindRow[];
}

function settleJobs(
  parts: SettleParts,
  calendarUid: string,
  jobs: readonly BehindRow[],
): Promise<SettledJobs> {
  const endMs = performance.now() + BATCH_MS;
  return parts.database.transaction(async (tx) => {
    const [lock] = await tx.query(calendarTryToSettle, [calendarUid]);
    if (lock?.taken !== true) return { isTaken: true, settled: 0, left: [] };
    const rows = await tx.query(jobsLockFree, [jobs.map(({ uid }) => uid)]);
    const projects = new Map(rows.map(({ uid, project_id: project }) => [uid, project]));
    let settled = 0;
    for (const [index, { uid }] of jobs.entries()) {
      const project = projects.get(uid);
      if (project === undefined) continue;
      if (settled > 0 && performance.now() > endMs)
        return { isTaken: false, settled, left: jobs.slice(index) };
      // This comes first. If the calendar changes again meanwhile, the job is found and settled once more.
      const behind = await tx.query(jobCalendarsSettled, [uid]);
      const [row] = behind.length === 0 ? [] : await tx.query(jobByUid, [project, uid]);
      if (row !== undefined) await settleReferringJob(parts, tx, row);
      settled += 1;
    }
    return { isTaken: false, settled, left: [] };
  });
}

async function endPass(parts: SettleParts, { calendarUid, failed }: CalendarPass): Promise<StepResult> {
  const { database, clock } = parts;
  const [row] = await database.query(calendarAsked, [calendarUid]);
  if (row === undefined) return "DONE";
  const settled = await database.query(calendarSettled, [calendarUid, row.asked]);
  if (settled.length > 0) return "DONE";
  const againMs = failed.length > 0 ? FAILED_AGAIN_MS : LOCKED_AGAIN_MS;
  const values = [calendarUid, row.asked, toSqlTime(clock.now() + againMs)];
  await database.query(calendarPostponeSettling, values);
  return "POSTPONED";
}

/**
 * Whether an error leaves one job for later, and the others of its batch can go on: a fault of the job, a lock on it, or a
 * backlog that is too long for one change.
 */
export function leavesJobForLater(error: unknown): boolean {
  const hasLongBacklog = error instanceof EasyCronError && error.metadata.service === "scheduler";
  return isItemFault(error) || hasLongBacklog || isLockTimeout(error);
}
