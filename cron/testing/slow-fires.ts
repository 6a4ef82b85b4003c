import type { DstPolicy } from "../dst-policy.ts";
import type { RandomCron } from "./random-cron.ts";
import { MARGIN_MINUTES, type WallClock } from "./wall-clock.ts";

const LONGEST_GAP_MINUTES = 180;

/**
 * Returns every fire time (epoch ms) of an expression in the days of a wall clock, without its margins. It checks
 * each minute: a second, slow implementation of the rule of next.ts.
 */
export function slowFires(cron: RandomCron, clock: WallClock, dst: DstPolicy): number[] {
  const { local, startMs } = clock;
  const matches = minuteMatcher(cron);
  const seconds = [...cron.seconds].sort((a, b) => a - b);
  const fires: number[] = [];
  for (let minute = MARGIN_MINUTES; minute < local.length - MARGIN_MINUTES; minute += 1) {
    const wall = local[minute] ?? 0;
    const atMs = startMs + minute * 60_000;
    const pass = dst.overlap === "FIRST" ? clock.first : clock.last;
    const chosen = cron.periodic || dst.overlap === "BOTH" || minute === pass[minute];
    const own = chosen && matches(wall) ? seconds : [];
    const gap = wall - (local[minute - 1] ?? 0) - 1;
    const shifts = !cron.periodic && dst.gap === "FIRE_AT_END" && gap > 0 && gap <= LONGEST_GAP_MINUTES;
    // What the gap leaves out fires in the first second of this minute, once, even if the minute itself fires then.
    if (shifts && own[0] !== 0 && anyMatches(matches, wall - gap, wall)) fires.push(atMs);
    for (const second of own) fires.push(atMs + second * 1000);
  }
  return fires;
}

function anyMatches(matches: (wall: number) => boolean, start: number, end: number): boolean {
  for (let wall = start; wall < end; wall += 1) if (matches(wall)) return true;
  return false;
}

function minuteMatcher(cron: RandomCron): (wall: number) => boolean {
  const days = new Map<number, boolean>();
  const dayMatches = (day: number): boolean => {
    const date = new Date(day * 86_400_000);
    const month = date.getUTCMonth() + 1;
    return cron.months.has(month) && cron.matchesDay(date.getUTCFullYear(), month, date.getUTCDate());
  };
  return (wall) => {
    const day = Math.floor(wall / 1440);
    const known = days.get(day) ?? dayMatches(day);
    days.set(day, known);
    return known && cron.hours.has(Math.floor(wall / 60) % 24) && cron.minutes.has(wall % 60);
  };
}
