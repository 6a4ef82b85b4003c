import { instantsOfLocal } from "../../../cron/local-instants.ts";
import { DAY_SECONDS } from "../../../cron/local-time.ts";
import { FIRST_SECOND, LAST_SECOND, offsetAt, type ZoneOffsets } from "../../../cron/zone-offsets.ts";

/** A date or a date-time of an event. */
export interface Moment {
  /** Seconds since 1970 on the clock of `zone`. Of a date, its first second. */
  readonly local: number;
  readonly isDate: boolean;
  readonly zone: ZoneOffsets;
  /** Whether it is a date-time in UTC. */
  readonly isUtc: boolean;
}

/** The clocks by which a date-time in UTC can mean a date. */
export interface Clocks {
  /** The zone of the calendar. */
  readonly calendar: ZoneOffsets;
  /** Returns the zone of the only VTIMEZONE of the text, if there is exactly one. */
  readonly only: () => ZoneOffsets | undefined;
}

/** Returns the seconds on the clock of `zone` at a moment. A date is its first second on every clock. */
export function localIn(zone: ZoneOffsets, moment: Moment): number {
  if (moment.isDate || moment.zone === zone) return moment.local;
  return localOf(zone, instantOf(moment));
}

/** Returns the instant of a date-time, in epoch seconds. A skipped local time means the end of the gap. */
export function instantOf({ local, zone }: Moment): number {
  const isKnown = local - DAY_SECONDS >= FIRST_SECOND && local + DAY_SECONDS <= LAST_SECOND;
  const known = isKnown
    ? instantsOfLocal(zone, local, { gap: "FIRE_AT_END", overlap: "FIRST" })[0]
    : undefined;
  return known ?? local - offsetAt(zone, local * 1000);
}

/**
 * Returns the date that a date or a date-time means for an event that takes place on dates, as its first second.
 *
 * Outlook writes such a date as local midnight in UTC: 20271019T230000Z is 20 October in London. So a date-time in UTC
 * that is midnight on one of the clocks means that local date. Any other date-time means its date as it stands.
 */
export function dateOf(moment: Moment, clocks: Clocks): number {
  return midnightOf(moment, clocks) ?? moment.local - timeOfDay(moment.local);
}

/** Returns the midnight that a date or a date-time is, on one of the clocks or as it stands. Undefined if it is none. */
export function midnightOf({ local, isUtc }: Moment, { calendar, only }: Clocks): number | undefined {
  if (isUtc) {
    for (const zone of [calendar, only()]) {
      const there = zone === undefined ? Number.NaN : localOf(zone, local);
      if (there % DAY_SECONDS === 0) return there;
    }
  }
  return timeOfDay(local) === 0 ? local : undefined;
}

/** Returns the seconds since midnight of a local second. */
export function timeOfDay(local: number): number {
  return ((local % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
}

function localOf(zone: ZoneOffsets, instant: number): number {
  return instant + offsetAt(zone, instant * 1000);
}
