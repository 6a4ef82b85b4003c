import { DEFAULT_DST_POLICY, type DstPolicy } from "./dst-policy.ts";
import { ScheduleError } from "./errors.ts";
import { instantsOfLocal } from "./local-instants.ts";
import { DAY_SECONDS, dayOfDate, daysInMonth } from "./local-time.ts";
import { toOffsets, type Zone, type ZoneOffsets } from "./zone-offsets.ts";

/** Fires once. A local time can have no instant or two, because of an offset change. */
export type Once = Readonly<{
  /** The instants (epoch ms, ascending). */
  timesMs: readonly number[];
  /** The zone in which it is shown. */
  zone: ZoneOffsets;
  /** The wanted local second in that zone. Null if it was given as an instant. */
  localSecond: number | null;
}>;

const LOCAL_TIME = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2}))?$/;
const LOCAL_FORM = 'a local time from 1901 to 2399 such as "2027-03-28T02:30:00", without an offset';

/**
 * Makes a one-shot from an instant. `zone` is UTC by default. Throws a ScheduleError of field "once.time" or
 * "timeZone".
 */
export function createOnce(timeMs: number, zone: Zone = "UTC"): Once {
  if (!Number.isSafeInteger(timeMs)) {
    throw new ScheduleError("once.time", String(timeMs), "is not a time", "whole milliseconds since 1970");
  }
  return { timesMs: [timeMs], zone: toOffsets(zone), localSecond: null };
}

/**
 * Makes a one-shot from a local time ("2027-03-28T02:30:00") in a zone. If the local time is skipped or repeated
 * there, `dst` decides, as for a cron job. With SKIP it may have no instant at all. Throws a ScheduleError of field
 * "once.localTime" or "timeZone".
 */
export function createOnceLocal(localTime: string, zone: Zone, dst: DstPolicy = DEFAULT_DST_POLICY): Once {
  const localSecond = parseLocalTime(localTime);
  const instants = instantsOfLocal(zone, localSecond, dst);
  return { timesMs: instants.map((second) => second * 1000), zone: toOffsets(zone), localSecond };
}

/** Returns the first of the times strictly later than `afterMs`, or null. */
export function nextOnceTime(once: Pick<Once, "timesMs">, afterMs: number): number | null {
  return once.timesMs.find((time) => time > afterMs) ?? null;
}

function parseLocalTime(text: string): number {
  const match = LOCAL_TIME.exec(text);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = (match?.slice(1) ?? []).map(
    (part) => Number(part ?? 0),
  );
  const isDate =
    year > 1900 && year < 2400 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  if (match === null || !isDate || hour > 23 || minute > 59 || second > 59) {
    throw new ScheduleError("once.localTime", text, "is not a local time", LOCAL_FORM);
  }
  return dayOfDate(year, month, day) * DAY_SECONDS + hour * 3600 + minute * 60 + second;
}
