import ICAL from "ical.js";
import { instantsOfLocal } from "../../../cron/local-instants.ts";
import { DAY_SECONDS, dayOfDate } from "../../../cron/local-time.ts";
import { offsetAt } from "../../../cron/zone-offsets.ts";
import { isIanaZone } from "./properties.ts";

/** A time of an event, and the zone that its property names: `UTC`, a TZID, or empty for the zone of the calendar. */
export interface ZonedTime {
  readonly time: ICAL.Time;
  readonly zone: string;
}

/** Returns the first value of a property, or another one of its values, with its zone. */
export function zonedTime(property: ICAL.Property, value = property.getFirstValue()): ZonedTime {
  const time = value as ICAL.Time;
  const isUtc = time.zone?.tzid === "UTC" || time.zone?.tzid === "Z";
  return { time, zone: isUtc ? "UTC" : String(property.getParameter("tzid") ?? "") };
}

/**
 * Converts a time to seconds on the local clock of the calendar's zone. A date is its first second. A time without a zone
 * is local to the calendar's zone already.
 */
export function localSecond({ time, zone }: ZonedTime, calendarZone: string): number {
  const wall = wallSecond(time);
  if (time.isDate || zone === "") return wall;
  const instant = instantOf({ time, zone }, calendarZone);
  return instant + offsetAt(calendarZone, instant * 1000);
}

/**
 * Writes a time in the way the event's start is written: in the same zone, or as a date if the start is a date. A rule
 * gives its times in that way, so they can be compared with the times of other properties. A date stays a date if the
 * start has a time of day.
 */
export function alignTo(start: ZonedTime, given: ZonedTime, calendarZone: string): ICAL.Time {
  const { time, zone } = given;
  if (start.time.isDate) return toDate(time);
  if (time.isDate || zone === start.zone) return time;
  const instant = instantOf(given, calendarZone);
  if (!hasZoneOfFile(start)) {
    const named = start.zone === "" ? calendarZone : start.zone;
    return fromWall(named === "UTC" ? instant : instant + offsetAt(named, instant * 1000), start.time.zone);
  }
  const utc = fromWall(instant, ICAL.Timezone.utcTimezone);
  return utc.convertToZone(start.time.zone);
}

/** Returns the last second of a date, in the zone of `start`. */
export function endOfDate(date: ICAL.Time, start: ZonedTime): ICAL.Time {
  return fromWall(wallSecond(date) + DAY_SECONDS - 1, start.time.zone);
}

/** Returns a date at the time of day of `start`. */
export function dateAtStart(date: ICAL.Time, start: ZonedTime): ICAL.Time {
  return fromWall(wallSecond(date) + (wallSecond(start.time) % DAY_SECONDS), start.time.zone);
}

/** Removes the time of day. */
export function toDate({ year, month, day }: ICAL.Time): ICAL.Time {
  return ICAL.Time.fromData({ year, month, day, isDate: true }, ICAL.Timezone.localTimezone);
}

/** Returns the date of a time on its own clock, in days since 1970. */
export function dayOf({ year, month, day }: ICAL.Time): number {
  return dayOfDate(year, month, day);
}

function instantOf({ time, zone }: ZonedTime, calendarZone: string): number {
  const wall = wallSecond(time);
  if (zone === "UTC") return wall;
  if (hasZoneOfFile({ time, zone })) return time.toUnixTime();
  const named = zone === "" ? calendarZone : zone;
  return instantsOfLocal(named, wall, { gap: "FIRE_AT_END", overlap: "FIRST" })[0] ?? wall;
}

/** Whether the zone is defined only by a VTIMEZONE of the file. For IANA zones the IANA database is used instead. */
function hasZoneOfFile({ zone }: ZonedTime): boolean {
  return zone !== "" && zone !== "UTC" && !isIanaZone(zone);
}

function wallSecond(time: ICAL.Time): number {
  const ofDay = time.isDate ? 0 : time.hour * 3600 + time.minute * 60 + time.second;
  return dayOf(time) * DAY_SECONDS + ofDay;
}

function fromWall(second: number, zone: ICAL.Timezone): ICAL.Time {
  const date = new Date(second * 1000);
  return ICAL.Time.fromData(
    {
      year: date.getUTCFullYear(),
      month: date.getUTCMonth() + 1,
      day: date.getUTCDate(),
      hour: date.getUTCHours(),
      minute: date.getUTCMinutes(),
      second: date.getUTCSeconds(),
      isDate: false,
    },
    zone,
  );
}
