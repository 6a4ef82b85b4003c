import { clone, create, isFieldSet } from "@bufbuild/protobuf";
import { typeid } from "typeid-js";
import { type Database, isUniqueViolation, type Queryable } from "../../db/pool.ts";
import { toSqlTime } from "../../db/time.ts";
import { type Calendar, CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import type { UpdateCalendarRequest } from "../../gen/easycron/v1/calendar_service_pb.ts";
import type { Clock } from "../../mesh/clock.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import { updateMaskInvalid } from "../requests/update-mask.ts";
import { ownRelease, type ZoneData, type ZoneRelease } from "../zones/zone-data.ts";
import {
  type CalendarRow,
  calendarAskSettling,
  calendarDelete,
  calendarInsert,
  calendarLockForChange,
  calendarRaiseVersion,
  calendarUsers,
  calendarVersionInsert,
} from "./calendars.sql.ts";
import { importICalendar } from "./icalendar/import.ts";
import { readCalendar } from "./read.ts";
import {
  calendarEtagOf,
  checkCalendarSpec,
  fromCalendarSpecJson,
  refuseNeverOpening,
  toCalendar,
  toCalendarSpecJson,
} from "./spec.ts";

/** The fields of a calendar that an update may name, by their proto names. */
const UPDATABLE = ["time_zone", "windows", "excluded_dates", "icalendar"] as const;

/** What a change of a calendar uses. */
export interface CalendarChangeParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly zoneData: Pick<ZoneData, "inForce">;
}

/**
 * Creates a calendar at version 1 and returns its row. Throws CALENDAR_INVALID, TIME_ZONE_UNKNOWN,
 * CALENDAR_NEVER_OPENS, CALENDAR_ALREADY_EXISTS.
 */
export async function createCalendar(
  parts: CalendarChangeParts,
  projectId: string,
  given: Calendar | undefined,
): Promise<CalendarRow> {
  const now = parts.clock.now();
  const calendar = await withImport(projectId, required(given), required(given).timeZone, now);
  const zoneData = parts.zoneData.inForce(now);
  const spec = checkedSpec(calendar, zoneData, now);
  const uid = typeid("cal").toString();
  try {
    return await parts.database.transaction(async (tx) => {
      await tx.query(calendarInsert, [uid, projectId, calendar.name, toSqlTime(now)]);
      await tx.query(calendarVersionInsert, [uid, 1, spec, toSqlTime(now), zoneData.version]);
      return readCalendar(tx, projectId, calendar.name);
    });
  } catch (error) {
    if (!isUniqueViolation(error, "calendars_live_name")) throw error;
    throw failure("CALENDAR_ALREADY_EXISTS", { calendar: calendar.name }, { cause: error });
  }
}

/**
 * Puts a new version of a calendar in effect and returns its row. A request that changes nothing adds no version. The
 * caller then brings the jobs that refer to the calendar up to date (`settleCalendar`). Throws CALENDAR_NOT_FOUND,
 * ETAG_MISMATCH, UPDATE_MASK_INVALID and what `createCalendar` throws.
 */
export async function updateCalendar(
  parts: CalendarChangeParts,
  projectId: string,
  request: UpdateCalendarRequest,
): Promise<CalendarRow> {
  const asked = required(request.calendar);
  const fields = readMask(request.updateMask?.paths ?? [], asked);
  const given = await importForUpdate(parts, projectId, asked, fields);
  return parts.database.transaction(async (tx) => {
    const before = await lockCalendar(tx, projectId, given, "calendar.name");
    const now = parts.clock.now();
    const zoneData = parts.zoneData.inForce(now);
    const spec = checkedSpec(merge(fromCalendarSpecJson(before.spec), given, fields), zoneData, now);
    if (spec === toCalendarSpecJson(fromCalendarSpecJson(before.spec))) return before;
    const version = before.version + 1;
    await tx.query(calendarVersionInsert, [before.uid, version, spec, toSqlTime(now), zoneData.version]);
    await tx.query(calendarRaiseVersion, [before.uid, version, toSqlTime(now)]);
    await tx.query(calendarAskSettling, [[before.uid], toSqlTime(now)]);
    return readCalendar(tx, projectId, given.name);
  });
}

/** Deletes a calendar. Throws CALENDAR_NOT_FOUND, ETAG_MISMATCH, and CALENDAR_IN_USE while a job refers to it. */
export function deleteCalendar(
  parts: Pick<CalendarChangeParts, "database" | "clock">,
  projectId: string,
  request: { readonly name: string; readonly etag: string },
): Promise<CalendarRow> {
  return parts.database.transaction(async (tx) => {
    const row = await lockCalendar(tx, projectId, request);
    const [users] = await tx.query(calendarUsers, [row.uid]);
    if (users !== undefined && users.count > 0) {
      const jobs = (users.names ?? []).join(", ");
      const problem = `"${row.name}" is in use by ${users.count} jobs, such as ${jobs}; change or delete them first.`;
      const metadata = { calendar: row.name, count: String(users.count), jobs };
      throw fieldFailure("CALENDAR_IN_USE", "name", problem, metadata);
    }
    await tx.query(calendarDelete, [row.uid, toSqlTime(parts.clock.now())]);
    return row;
  });
}

async function lockCalendar(
  tx: Queryable,
  projectId: string,
  { name, etag }: { readonly name: string; readonly etag: string },
  field = "name",
): Promise<CalendarRow> {
  // Two statements: rows that are joined in the statement that waits for the lock could be older than the wait.
  await tx.query(calendarLockForChange, [projectId, name]);
  const row = await readCalendar(tx, projectId, name, field);
  const current = calendarEtagOf(row);
  if (etag !== "" && etag !== current) throw failure("ETAG_MISMATCH", { name, given: etag, current });
  return row;
}

/**
 * Returns a copy with the dates of its iCalendar text as imported dates. Throws CALENDAR_INVALID, TIME_ZONE_UNKNOWN.
 */
async function withImport(
  projectId: string,
  given: Calendar,
  zone: string,
  nowMs: number,
): Promise<Calendar> {
  const calendar = clone(CalendarSchema, given);
  calendar.importedDates = [];
  if (calendar.icalendar === "") return calendar;
  const timeZone = checkCalendarSpec(create(CalendarSchema, { timeZone: zone }), ownRelease()).zone.name;
  const dates = await importICalendar(projectId, { text: calendar.icalendar, timeZone, nowMs });
  calendar.importedDates = [...dates];
  return calendar;
}

/**
 * Returns the calendar of an update with its imported dates; without `icalendar` in `fields` nothing is imported. Call
 * it before the row is locked, because an import may take two seconds.
 */
async function importForUpdate(
  parts: Pick<CalendarChangeParts, "database" | "clock">,
  projectId: string,
  asked: Calendar,
  fields: readonly string[],
): Promise<Calendar> {
  if (!fields.includes("icalendar") || asked.icalendar === "")
    return create(CalendarSchema, { ...clone(CalendarSchema, asked), icalendar: "", importedDates: [] });
  const ownZone = fields.includes("time_zone")
    ? asked.timeZone
    : toCalendar(await readCalendar(parts.database, projectId, asked.name, "calendar.name")).timeZone;
  return withImport(projectId, asked, ownZone, parts.clock.now());
}

/** Checks a calendar and returns the text that its version stores. */
function checkedSpec(calendar: Calendar, zoneData: ZoneRelease, nowMs: number): string {
  refuseNeverOpening(calendar, checkCalendarSpec(calendar, zoneData), zoneData, nowMs);
  return toCalendarSpecJson(calendar);
}

function required(calendar: Calendar | undefined): Calendar {
  if (calendar === undefined)
    throw fieldFailure(
      "FIELD_INVALID",
      "calendar",
      "It is required; accepted: an object with at least a name.",
    );
  return calendar;
}

/** Returns the fields to update: those that the mask names, or without a mask those that are set. */
function readMask(paths: readonly string[], given: Calendar): readonly string[] {
  if (paths.length === 1 && paths[0] === "*") return UPDATABLE;
  const wrong = paths.find((path) => !UPDATABLE.some((name) => name === path));
  if (wrong !== undefined) throw updateMaskInvalid(wrong, UPDATABLE);
  if (paths.length > 0) return paths;
  return UPDATABLE.filter((name) => {
    const field = CalendarSchema.fields.find((each) => each.name === name);
    return field !== undefined && isFieldSet(given, field);
  });
}

function merge(before: Calendar, given: Calendar, fields: readonly string[]): Calendar {
  const calendar = create(CalendarSchema, clone(CalendarSchema, before));
  if (fields.includes("time_zone")) calendar.timeZone = given.timeZone;
  if (fields.includes("windows")) calendar.windows = given.windows;
  if (fields.includes("excluded_dates")) calendar.excludedDates = given.excludedDates;
  if (fields.includes("icalendar")) {
    calendar.icalendar = given.icalendar;
    calendar.importedDates = given.importedDates;
  }
  return calendar;
}
