import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { type Crowd, topsOfHour } from "../../cron/lint-crowd.ts";
import { toSqlTime } from "../../db/time.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { JOBS_DUE_LIMIT, jobsDueAt } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/** What the linter needs to know about a job beside its specification. */
export interface LintContext {
  /** The job's calendars, in the versions in effect. */
  readonly gates: readonly CalendarGate[];
  /** The fire times at the top of an hour at which ten or more other jobs of the project are due too. */
  readonly crowds: readonly Crowd[];
}

/** How many other jobs must be due at the same instant for it to count as crowded. */
const CROWD = 10;

/**
 * Reads a job's calendars, and finds the fire times at the top of an hour that many other jobs of the project share.
 *
 * It looks only at fire times later than now plus the look-ahead and a step (`horizonOf`). Nothing later than that has
 * been handed over, so the cursor of every other job is its next fire time. The database knows no fire time after that
 * one: at 08:00, a job due every hour does not count for 05:00 tomorrow. The calendars and the flexible windows of the
 * other jobs are ignored.
 */
export async function readLintContext(
  parts: Pick<Parts, "database" | "zoneData" | "clock" | "lookAheadMs" | "stepMs">,
  projectId: string,
  schedule: CompiledSchedule,
): Promise<LintContext> {
  const gates = await gatesOf(parts.database, parts.zoneData, projectId, schedule.calendars);
  const tops = topsOfHour({ ...schedule.plan, gates }, parts.clock.now() + parts.lookAheadMs + parts.stepMs);
  if (tops.length === 0) return { gates, crowds: [] };
  const times = [...new Set(tops.map(({ atMs }) => atMs))];
  const values = [projectId, schedule.jobUid, times.map(toSqlTime)];
  const due = await parts.database.query(jobsDueAt, values);
  const counts = new Map(due.map(({ at, count }) => [at, count]));
  const crowds = tops.map((top) => {
    const otherJobs = counts.get(top.atMs) ?? 0;
    return { ...top, otherJobs, orMore: otherJobs === JOBS_DUE_LIMIT };
  });
  return { gates, crowds: crowds.filter(({ otherJobs }) => otherJobs >= CROWD) };
}
