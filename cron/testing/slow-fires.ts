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
  const fires = new Set<number>();
  for (let minute = MARGIN_MINUTES; minute < local.length - MARGIN_MINUTES; minute += 1) {
    const wall = local[minute] ?? 0;
    const gap = wall - (local[minute - 1] ?? 0) - 1;
    const shifts = !cron.rhythm && dst.gap === "FIRE_AT_END" && gap > 0 && gap <= LONGEST_GAP_MINUTES;
    for (let skipped = wall - gap; shifts && skipped < wall; skipped += 1) {
      if (matches(skipped)) fires.add(startMs + minute * 60_000);
    }
    const pass = dst.overlap === "FIRST" ? clock.first : clock.last;
    const chosen = cron.rhythm || dst.overlap === "BOTH" || minute === pass[minute];
    if (chosen && matches(wall)) {
      for (const second of cron.seconds) fires.add(startMs + minute * 60_000 + second * 1000);
    }
  }
  return [...fires].sort((a, b) => a - b);
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
