import type { CalendarGate } from "../cron/calendar-gate.ts";
import { toSqlTime } from "../db/time.ts";
import { gatesOf } from "./calendars.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import { jobsDueAt } from "./jobs.sql.ts";
import type { Parts } from "./parts.ts";

const HOUR_MS = 3_600_000;

/** What a linter cannot see in a specification: its calendars, and how many jobs of the project are due at full hours. */
export async function knownOf(
  parts: Parts,
  projectId: string,
  schedule: CompiledSchedule,
): Promise<{ gates: CalendarGate[]; jobsAtTopOfHour: number }> {
  const gates = await gatesOf(parts.database, parts.zoneData, projectId, schedule.calendars);
  const hourMs = (Math.floor(parts.clock.now() / HOUR_MS) + 1) * HOUR_MS;
  const values = [projectId, toSqlTime(hourMs), toSqlTime(hourMs - parts.lookAheadMs)];
  const [due] = await parts.database.query(jobsDueAt, values);
  return { gates, jobsAtTopOfHour: due?.count ?? 0 };
}
