import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { isOpen, nextChange } from "../../cron/calendar.ts";
import type { Queryable } from "../../db/pool.ts";
import type { Calendar } from "../../gen/easycron/v1/calendar_pb.ts";
import type {
  CheckCalendarRequest,
  ListCalendarsRequest,
} from "../../gen/easycron/v1/calendar_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { readPageToken, toPageToken } from "../../mesh/page-token.ts";
import { fittingPage } from "../requests/fitting-page.ts";
import type { ZoneData } from "../zones/zone-data.ts";
import { type CalendarRow, calendarByName, calendarsAfterName } from "./calendars.sql.ts";
import { calendarKey, calendarNotFound, currentCalendars } from "./calendars.ts";
import { toCalendar } from "./spec.ts";

const DEFAULT_PAGE_SIZE = 50;

/**
 * Reads one of the project's calendars. Throws CALENDAR_NOT_FOUND; `field` is the request field that holds the name.
 */
export async function readCalendar(
  on: Queryable,
  projectId: string,
  name: string,
  field = "name",
): Promise<CalendarRow> {
  const [row] = await on.query(calendarByName, [projectId, name]);
  if (row === undefined) throw calendarNotFound(name, field);
  return row;
}

/** Returns a page of the project's calendars, ordered by name. Throws PAGE_TOKEN_INVALID. */
export async function listCalendars(
  parts: { readonly database: Queryable },
  projectId: string,
  request: ListCalendarsRequest,
): Promise<{ calendars: Calendar[]; nextPageToken: string }> {
  const size = request.pageSize === 0 ? DEFAULT_PAGE_SIZE : request.pageSize;
  const after = readPageToken(["calendars", projectId], request.pageToken);
  const rows = await parts.database.query(calendarsAfterName, [projectId, after, size + 1]);
  const page = fittingPage(rows.slice(0, size));
  const last = page.at(-1);
  return {
    calendars: page.map(toCalendar),
    nextPageToken:
      rows.length > page.length && last !== undefined ? toPageToken(["calendars", projectId], last.name) : "",
  };
}

/** What `checkCalendar` uses. */
export interface CalendarCheckParts {
  readonly database: Queryable;
  readonly clock: Clock;
  readonly zoneData: Pick<ZoneData, "release">;
}

/**
 * Tells whether a calendar is open at `request.time`, by default now, and when that changes next. It uses the same code
 * that decides fire times. Throws CALENDAR_NOT_FOUND.
 */
export async function checkCalendar(
  parts: CalendarCheckParts,
  projectId: string,
  request: CheckCalendarRequest,
): Promise<{ open: boolean; changeTime?: ReturnType<typeof timestampFromMs> }> {
  const { name } = request;
  const current = await currentCalendars(parts.database, parts.zoneData, [{ projectId, name }]);
  const found = current.get(calendarKey(projectId, name));
  if (found === undefined) throw calendarNotFound(name);
  const atMs = request.time === undefined ? parts.clock.now() : timestampMs(request.time);
  const changeMs = nextChange(found.calendar, atMs);
  return {
    open: isOpen(found.calendar, atMs),
    ...(changeMs === null ? {} : { changeTime: timestampFromMs(changeMs) }),
  };
}
