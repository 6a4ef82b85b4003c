import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Calendar as CompiledCalendar, neverOpens } from "../../cron/calendar.ts";
import { findCalendarErrors, MAX_EXCLUDED_DATES, parseCalendar } from "../../cron/calendar-spec.ts";
import { ScheduleError } from "../../cron/errors.ts";
import { type Calendar, CalendarSchema } from "../../gen/easycron/v1/calendar_pb.ts";
import { failure, fieldFailure } from "../../mesh/errors.ts";
import { printable } from "../../mesh/printable.ts";
import type { ZoneRelease } from "../zones/zone-data.ts";
import type { CalendarRow } from "./calendars.sql.ts";

/**
 * Returns what a version stores: zone (UTC is written out), windows, excluded dates, and the dates of the last import.
 */
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

/** Compiles a calendar with the zone data of a release. Throws a ScheduleError if the calendar is not valid. */
export function compileCalendar(calendar: Calendar, zoneData: ZoneRelease): CompiledCalendar {
  const { windows, excludedDates, importedDates } = calendar;
  const timeZone = zoneData.zones(calendar.timeZone === "" ? "UTC" : calendar.timeZone);
  return parseCalendar({ timeZone, windows, excludedDates: [...excludedDates, ...importedDates] });
}

/**
 * Checks and compiles a calendar as a customer sent it. If `icalendar` is not empty, `importedDates` must already hold
 * the dates of that text. Throws CALENDAR_INVALID or TIME_ZONE_UNKNOWN, naming the field (`calendar.windows[0].start`), and
 * all other fields that are wrong.
 */
export function checkCalendarSpec(calendar: Calendar, zoneData: ZoneRelease): CompiledCalendar {
  checkDateCount(calendar);
  try {
    return compileCalendar(calendar, zoneData);
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
    const others = findCalendarErrors(calendar).filter(({ field }) => field !== error.field);
    const violations = [error, ...others].map(({ field, message }) => ({
      field: `calendar.${field}`,
      description: message,
    }));
    const reason = error.field === "timeZone" ? "TIME_ZONE_UNKNOWN" : "CALENDAR_INVALID";
    const metadata = { field: `calendar.${error.field}`, value: error.value, problem: error.message };
    throw failure(reason, metadata, { violations: violations.slice(0, MAX_VIOLATIONS), cause: error });
  }
}

/** The largest number of broken rules that one error lists. */
const MAX_VIOLATIONS = 100;

/**
 * Refuses a calendar that is never open from `fromMs` until the end of the year 2400. Throws CALENDAR_NEVER_OPENS,
 * naming the field that closes it.
 */
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
  const problem = `With "${printable(value)}" the calendar is never open until the end of 2400; leave a date or a window open.`;
  throw fieldFailure("CALENDAR_NEVER_OPENS", field, problem, { calendar: name, value });
}

// The limit is on excluded and imported dates together. The error names the field that this request sent.
function checkDateCount({ excludedDates, importedDates, icalendar }: Calendar): void {
  const [given, imported] = [excludedDates.length, importedDates.length];
  if (imported === 0 || given + imported <= MAX_EXCLUDED_DATES) return;
  const field = icalendar === "" ? "calendar.excludedDates" : "calendar.icalendar";
  const problem =
    `The ${imported} imported and ${given} excluded dates are ${given + imported} together; accepted: at most ` +
    `${MAX_EXCLUDED_DATES}, where a range counts as one.`;
  throw fieldFailure("CALENDAR_INVALID", field, problem, { value: `${given + imported}` });
}

/** Returns the etag of a calendar. It differs after every change. */
export function calendarEtagOf(row: Pick<CalendarRow, "uid" | "version">): string {
  return `${row.uid.slice(-6)}-${row.version}`;
}

/** Returns the calendar as customers see it. */
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
