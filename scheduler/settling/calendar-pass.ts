import { toSqlTime } from "../../db/time.ts";
import { takeApart } from "../../mesh/take-apart.ts";
import {
  type BehindRow,
  calendarAsked,
  calendarPostponeSettling,
  calendarSettled,
  calendarTryToSettle,
  jobCalendarsBehind,
} from "../calendars/calendars.sql.ts";
import { type FailedJob, lockSet, type SettleParts } from "./job-set.ts";
import { leavesJobForLater } from "./leaves-job-for-later.ts";
import { settleReferringJobs, toReferringJob } from "./referring-jobs.ts";
import { createSetSize, type SetSize } from "./set-size.ts";
import { jobCalendarsSettled } from "./settling.sql.ts";

/** One pass over the jobs that are behind a calendar. */
export interface CalendarPass {
  readonly calendarUid: string;
  /** The last job that the pass has looked at. */
  after: BehindRow;
  /** How many jobs it has changed. One that was up to date by then needed no change. */
  settled: number;
  readonly failed: FailedJob[];
  readonly size: SetSize;
}

/**
 * What a step came to: `MORE` steps are needed; another process is making a step (`TAKEN`); the calendar is settled
 * (`DONE`), or the pass has come to its end and left jobs out (`POSTPONED`).
 */
export type StepResult = "MORE" | "TAKEN" | "DONE" | "POSTPONED";

/** When the next pass begins after one that left out jobs that were locked, and after one that failed on a job. */
const LOCKED_AGAIN_MS = 1_000;
const FAILED_AGAIN_MS = 60_000;

/** Begins a pass at the first job that is behind. */
export function beginPass(calendarUid: string): CalendarPass {
  return { calendarUid, after: { version: 0, uid: "" }, settled: 0, failed: [], size: createSetSize() };
}

/**
 * Settles the next jobs of a pass in one transaction: at most 400, and as many as fit into about 250 ms. Any number of
 * processes may have passes over one calendar: an advisory lock makes their steps one after the other, and each job
 * records the version that it is up to date with. So each job is settled once, and a pass that is interrupted goes on
 * where it was.
 *
 * A set that fails is taken apart; the jobs that fail alone are left behind (`failed`), and so are those that another
 * transaction has locked. A later pass settles them. Throws SERVICE_UNAVAILABLE.
 */
export async function stepPass(parts: SettleParts, pass: CalendarPass): Promise<StepResult> {
  const { calendarUid, after, size } = pass;
  const values = [calendarUid, after.version, after.uid, size.most()];
  const jobs = await parts.database.query(jobCalendarsBehind, values);
  if (jobs.length === 0) return endPass(parts, pass);
  const work = (part: readonly BehindRow[]) => settleSet(parts, calendarUid, part);
  const startMs = performance.now();
  const { results, failed } = await takeApart(jobs, work, { isItemFault: leavesJobForLater });
  size.took(performance.now() - startMs);
  for (const { settled } of results) pass.settled += settled;
  if (results.some(({ isTaken }) => isTaken)) return "TAKEN";
  const left = new Set(results.flatMap(({ left }) => left));
  // A job that there was no room for must come again, and a later one may have been handled before it.
  const firstLeft = jobs.findIndex((job) => left.has(job));
  const handled = firstLeft === -1 ? jobs : jobs.slice(0, firstLeft);
  const handledUids = new Set(handled.map(({ uid }) => uid));
  const alone = failed.map(({ item, error }) => ({ jobUid: item.uid, error }));
  for (const each of [...results.flatMap((result) => result.failed), ...alone]) {
    if (handledUids.has(each.jobUid)) pass.failed.push(each);
  }
  pass.after = handled.at(-1) ?? after;
  return "MORE";
}

/** What became of the jobs of one transaction. */
interface SettledSet {
  /** Whether another process is settling jobs of the calendar: nothing was done. */
  readonly isTaken: boolean;
  readonly settled: number;
  readonly failed: readonly FailedJob[];
  /** The jobs that there was no room for. */
  readonly left: readonly BehindRow[];
}

function settleSet(parts: SettleParts, calendarUid: string, jobs: readonly BehindRow[]): Promise<SettledSet> {
  return parts.database.transaction(async (tx) => {
    const [lock] = await tx.query(calendarTryToSettle, [calendarUid]);
    if (lock?.taken !== true) return { isTaken: true, settled: 0, failed: [], left: [] };
    const { planned, failed, left } = await lockSet(tx, parts, jobs, (row) => toReferringJob(parts, row));
    // This comes before the calendars are read. If one changes again meanwhile, its jobs are found and settled once more.
    const behind = await tx.query(jobCalendarsSettled, [[...planned.keys()].sort()]);
    const uids = new Set(behind.map(({ job_uid: uid }) => uid));
    const changed = [...planned].flatMap(([uid, job]) => (job === undefined || !uids.has(uid) ? [] : [job]));
    await settleReferringJobs(tx, parts, changed);
    return { isTaken: false, settled: changed.length, failed, left };
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
