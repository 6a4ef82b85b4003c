/*
 * A slow reference for tests: each minute of UTC, formatted by Intl in a zone. It uses no code under test.
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

/** Formats every minute from two days before `dayMs` to two days and `days` after it. */
export function readWallClock(zone: string, dayMs: number, days: number): WallClock {
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
  const startMs = Math.floor(dayMs / 60_000) * 60_000 - MARGIN_MINUTES * 60_000;
  const local = Int32Array.from({ length: days * 1440 + 2 * MARGIN_MINUTES }, (_, minute) => {
    const [month, day, year, hour, rest] = format
      .format(startMs + minute * 60_000)
      .split(/\D+/)
      .map(Number);
    return Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, rest) / 60_000;
  });
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
