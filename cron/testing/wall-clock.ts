/*
 * A slow reference for tests: the local time of each minute of UTC, as Intl formats it in a zone. It uses no code under
 * test.
 */

/**
 * The wall clock of a zone for a period of UTC minutes:
 *
 * - `local[i]` is the local time `i` minutes after `startMs`, in minutes since 1970;
 * - `first[i]` and `last[i]` are the first and the last minute with the same local time;
 * - `jumps` are the minutes at which the local time jumps.
 */
export type WallClock = {
  zone: string;
  startMs: number;
  local: Int32Array;
  first: Int32Array;
  last: Int32Array;
  jumps: number[];
};

/**
 * Minutes at each end of a wall clock that only show what comes before and after. A repeated day needs two days of
 * them.
 */
export const MARGIN_MINUTES = 2 * 1440;

/**
 * Reads every minute from two days before `dayMs` to two days and `days` after it.
 *
 * Intl formats the first minute of each hour, and every minute of an hour in which the clock jumps. The minutes between
 * are counted, which makes it 40 times faster. Two jumps within one hour that cancel each other would be overlooked; no
 * zone has any. With `everyMinute`, Intl formats every minute.
 */
export function readWallClock(zone: string, dayMs: number, days: number, everyMinute = false): WallClock {
  const startMs = Math.floor(dayMs / 60_000) * 60_000 - MARGIN_MINUTES * 60_000;
  const read = minuteReader(zone, startMs);
  const local = new Int32Array(days * 1440 + 2 * MARGIN_MINUTES);
  for (let hour = 0, wall = read(0); hour < local.length; hour += 60) {
    const next = read(hour + 60);
    const jumps = everyMinute || next !== wall + 60;
    for (let minute = 0; minute < 60; minute += 1) {
      local[hour + minute] = jumps ? read(hour + minute) : wall + minute;
    }
    wall = next;
  }
  const firstOf = new Map<number, number>();
  const lastOf = new Map<number, number>();
  local.forEach((wall, minute) => {
    if (!firstOf.has(wall)) firstOf.set(wall, minute);
    lastOf.set(wall, minute);
  });
  const first = local.map((wall) => firstOf.get(wall) ?? 0);
  const last = local.map((wall) => lastOf.get(wall) ?? 0);
  const jumps = Array.from(local.keys()).filter(
    (minute) => local[minute] !== (local[minute - 1] ?? Number.NaN) + 1,
  );
  return { zone, startMs, local, first, last, jumps: jumps.slice(1) };
}

/** Returns a function that formats the minute that is so many minutes after `startMs`, in minutes since 1970. */
function minuteReader(zone: string, startMs: number): (minute: number) => number {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
  return (minute) => {
    const [month, day, year, hour, rest] = format
      .format(startMs + minute * 60_000)
      .split(/\D+/)
      .map(Number);
    return Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, rest) / 60_000;
  };
}
