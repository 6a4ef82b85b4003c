import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { toSqlTime } from "../../db/time.ts";
import { type CalendarReference, compiledVersions, versionKey } from "../calendars/calendars.ts";
import { calendarVersionsAt } from "../job/revisions.sql.ts";
import type { Parts } from "../parts.ts";

/**
 * Returns the calendar gates of several jobs of one project as they were at an instant, in the order of the jobs.
 * Includes calendars that have been deleted since. A calendar that a job refers to cannot be deleted, so each calendar
 * existed when the revision that names it was created.
 */
export async function gatesAt(
  parts: Pick<Parts, "database" | "zoneData">,
  projectId: string,
  jobs: readonly (readonly CalendarReference[])[],
  atMs: number,
): Promise<CalendarGate[][]> {
  const names = [...new Set(jobs.flatMap((references) => references.map(({ name }) => name)))];
  if (names.length === 0) return jobs.map(() => []);
  const rows = await parts.database.query(calendarVersionsAt, [projectId, names, toSqlTime(atMs)]);
  const calendars = await compiledVersions(parts.database, parts.zoneData, rows);
  const byName = new Map(rows.map((row) => [row.name, calendars.get(versionKey(row))]));
  return jobs.map((references) =>
    references.flatMap(({ name, outside }) => {
      const calendar = byName.get(name);
      return calendar === undefined ? [] : { name, outside, calendar };
    }),
  );
}
