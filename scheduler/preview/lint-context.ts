import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { type Crowd, topsOfHour } from "../../cron/lint-crowd.ts";
import { toSqlTime } from "../../db/time.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { JOBS_DUE_LIMIT, jobsDueAt } from "../job/jobs.sql.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/** What a linter cannot see in a specification. */
export interface Known {
  readonly gates: readonly CalendarGate[];
  readonly crowds: readonly Crowd[];
}

/** From this many other jobs on, the top of an hour is crowded. */
const CROWD = 10;

/**
 * A job's calendars, and where its schedules meet with many others of its project at the top of an hour. Looked at are
 * their next such fire times from now on, later than the look-ahead: until then nothing has been handed over, so the
 * next fire time of every other job is its cursor. More than that next one the database does not know: a job due every
 * hour is not counted at five tomorrow morning. Calendars and flexible windows of the others are not looked at.
 */
export async function knownOf(parts: Parts, projectId: string, schedule: CompiledSchedule): Promise<Known> {
  const gates = await gatesOf(parts.database, parts.zoneData, projectId, schedule.calendars);
  const tops = topsOfHour({ ...schedule.plan, gates }, parts.clock.now() + parts.lookAheadMs);
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
