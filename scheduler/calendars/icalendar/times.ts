import ICAL from "ical.js";
import { instantsOfLocal } from "../../../cron/local-instants.ts";
import { DAY_SECONDS, dayOfDate } from "../../../cron/local-time.ts";
import { offsetAt } from "../../../cron/zone-offsets.ts";
import { isIanaZone } from "./properties.ts";

/** A time of an event, and the zone that its property names: "UTC", a TZID, or "" for the calendar's own. */
export interface ZonedTime {
  readonly time: ICAL.Time;
  readonly zone: string;
}

/** The first time of a property, or another value of it, with its zone. */
export function zonedTime(property: ICAL.Property, value = property.getFirstValue()): ZonedTime {
  const time = value as ICAL.Time;
  const isUtc = time.zone?.tzid === "UTC" || time.zone?.tzid === "Z";
  return { time, zone: isUtc ? "UTC" : String(property.getParameter("tzid") ?? "") };
}

/** A time as a local second of the calendar's zone; a date is its first. Floating times are local there already. */
export function localSecond({ time, zone }: ZonedTime, calendarZone: string): number {
  const wall = wallSecond(time);
  if (time.isDate || zone === "") return wall;
  const instant = instantOf({ time, zone }, calendarZone);
  return instant + offsetAt(calendarZone, instant * 1000);
}

/**
 * The same instant written as `start` is: in its zone, or as a date if it is one. So the dates that a rule gives, which
 * are written like the event's start, can be compared with those that other properties name. A date of an event with
 * times stays a date.
 */
export function alignTo(start: ZonedTime, given: ZonedTime, calendarZone: string): ICAL.Time {
  const { time, zone } = given;
  if (start.time.isDate) return toDate(time);
  if (time.isDate || zone === start.zone) return time;
  const instant = instantOf(given, calendarZone);
  if (!isRuledByFile(start)) {
    const named = start.zone === "" ? calendarZone : start.zone;
    return fromWall(named === "UTC" ? instant : instant + offsetAt(named, instant * 1000), start.time.zone);
  }
  const utc = fromWall(instant, ICAL.Timezone.utcTimezone);
  return utc.convertToZone(start.time.zone);
}

/** A date as the last second of it, on the clock of `start`. */
export function endOfDate(date: ICAL.Time, start: ZonedTime): ICAL.Time {
  return fromWall(wallSecond(date) + DAY_SECONDS - 1, start.time.zone);
}

/** A date at the time of day of `start`. */
export function dateAtStart(date: ICAL.Time, start: ZonedTime): ICAL.Time {
  return fromWall(wallSecond(date) + (wallSecond(start.time) % DAY_SECONDS), start.time.zone);
}

/** A time without its time of day. */
export function toDate({ year, month, day }: ICAL.Time): ICAL.Time {
  return ICAL.Time.fromData({ year, month, day, isDate: true }, ICAL.Timezone.localTimezone);
}

/** The days since 1970 of a time on its own clock. */
export function dayOf({ year, month, day }: ICAL.Time): number {
  return dayOfDate(year, month, day);
}

function instantOf({ time, zone }: ZonedTime, calendarZone: string): number {
  const wall = wallSecond(time);
  if (zone === "UTC") return wall;
  if (isRuledByFile({ time, zone })) return time.toUnixTime();
  const named = zone === "" ? calendarZone : zone;
  return instantsOfLocal(named, wall, { gap: "FIRE_AT_END", overlap: "FIRST" })[0] ?? wall;
}

/** Whether only the rules that came with the file know the zone. The IANA database knows its own better. */
function isRuledByFile({ zone }: ZonedTime): boolean {
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
