import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Calendar as CompiledCalendar, neverOpens } from "../../cron/calendar.ts";
import { MAX_EXCLUDED_DATES, parseCalendar } from "../../cron/calendar-spec.ts";
import { ScheduleError } from "../../cron/errors.ts";
import { type Calendar, CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import { printable } from "../../mesh/printable.ts";
import type { ZoneRelease } from "../zones/zone-data.ts";
import type { CalendarRow } from "./calendars.sql.ts";

/** What a version keeps: zone, windows, dates, and those of the last import. The zone's default is written out. */
export function toCalendarSpecJson(calendar: Calendar): string {
  const { windows, excludedDates, importedDates } = calendar;
  const timeZone = calendar.timeZone === "" ? "UTC" : calendar.timeZone;
  const spec = create(CalendarSchema, { timeZone, windows, excludedDates, importedDates });
  return toJsonString(CalendarSchema, spec);
}

/** Reads what `toCalendarSpecJson` wrote. */
export function fromCalendarSpecJson(spec: string): Calendar {
  return fromJsonString(CalendarSchema, spec, { ignoreUnknownFields: true });
}

/** Compiles a calendar that has been checked, its zone as `zoneData` has it. Throws a ScheduleError otherwise. */
export function compileCalendar(calendar: Calendar, zoneData: ZoneRelease): CompiledCalendar {
  const { windows, excludedDates, importedDates } = calendar;
  const timeZone = zoneData.zones(calendar.timeZone === "" ? "UTC" : calendar.timeZone);
  return parseCalendar({ timeZone, windows, excludedDates: [...excludedDates, ...importedDates] });
}

/**
 * Checks a calendar as a customer wrote it, `icalendar` being the text just imported, if any. Throws CALENDAR_INVALID or TIME_ZONE_UNKNOWN, naming the field
 * (`calendar.windows[0].start`).
 */
export function checkCalendarSpec(calendar: Calendar, zoneData: ZoneRelease): CompiledCalendar {
  checkDateCount(calendar);
  try {
    return compileCalendar(calendar, zoneData);
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    const field = `calendar.${error.field}`;
    const reason = error.field === "timeZone" ? "TIME_ZONE_UNKNOWN" : "CALENDAR_INVALID";
    const violations = [{ field, description: error.message }];
    throw failure(
      reason,
      { field, value: error.value, problem: error.message },
      { violations, cause: error },
    );
  }
}

/** Refuses a checked calendar that is never open from `fromMs` on. Throws CALENDAR_NEVER_OPENS, naming the field. */
export function refuseNeverOpening(
  calendar: Calendar,
  compiled: CompiledCalendar,
  zoneData: ZoneRelease,
  fromMs: number,
): void {
  if (!neverOpens(compiled, fromMs)) return;
  const { name, excludedDates, importedDates, icalendar } = calendar;
  const without = create(CalendarSchema, { ...calendar, importedDates: [] });
  const byImport = icalendar !== "" && !neverOpens(compileCalendar(without, zoneData), fromMs);
  const field = byImport ? "calendar.icalendar" : "calendar.excludedDates";
  const value = byImport ? `${importedDates.length} imported dates` : excludedDates.join(", ");
  const problem = `"${printable(value)}" leaves nothing open until the end of 2400; leave a date or a window open.`;
  throw fieldFailure("CALENDAR_NEVER_OPENS", field, problem, { calendar: name, value });
}

// Dates and imported ones are excluded alike, but only one of the two fields is what was sent too much of.
function checkDateCount({ excludedDates, importedDates, icalendar }: Calendar): void {
  const [given, imported] = [excludedDates.length, importedDates.length];
  if (imported === 0 || given + imported <= MAX_EXCLUDED_DATES) return;
  const field = icalendar === "" ? "calendar.excludedDates" : "calendar.icalendar";
  const problem =
    `${imported} imported and ${given} excluded dates are ${given + imported} in all; accepted: at most ` +
    `${MAX_EXCLUDED_DATES}, a range counting as one.`;
  throw fieldFailure("CALENDAR_INVALID", field, problem, { value: `${given + imported}` });
}

/** Names the present state of a calendar; differs after every change. */
export function calendarEtagOf(row: Pick<CalendarRow, "uid" | "version">): string {
  return `${row.uid.slice(-6)}-${row.version}`;
}

/** The calendar as customers see it. */
export function toCalendar(row: CalendarRow): Calendar {
  const calendar = fromCalendarSpecJson(row.spec);
  calendar.name = row.name;
  calendar.uid = row.uid;
  calendar.version = row.version;
  calendar.etag = calendarEtagOf(row);
  calendar.createTime = timestampFromMs(row.create_time);
  calendar.updateTime = timestampFromMs(row.update_time);
  return calendar;
}
