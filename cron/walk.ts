import { type Calendar, isOpen } from "./calendar.ts";
import type { CronFields } from "./cron-fields.ts";
import { LONGEST_GAP_SECONDS } from "./dst-policy.ts";
import type { Bounds, CronSchedule, Schedule } from "./schedule.ts";
import { walkDayMatches } from "./walk-day.ts";
import type { ZoneOffsets } from "./zone-offsets.ts";

const MINUTE = 60;
const HOUR = 3_600;
/** No zone keeps an offset for less than 6.96 days, so a day and a half away there is at most one change. */
const NEARBY = 1.5 * 86_400;

/** The result of a walk. */
export interface Walk {
  /** All fire times (epoch ms, ascending) from the beginning up to `untilMs`. */
  readonly timesMs: readonly number[];
  /** Where the walk ended (exclusive). Earlier than requested if the allowed looks were used up. */
  readonly untilMs: number;
  /** How many looks it took. */
  readonly looks: number;
}

/**
 * Finds the fire times of a job's schedules from `fromMs` (inclusive) to `untilMs` (exclusive) by checking each
 * minute. It is a second, slow and simple implementation of the rule of next.ts, for the audit. It shares only the
 * parsed fields and the source of a zone's offsets with next.ts. It is exact from 1972 on, since when offsets are
 * whole minutes. `looks` limits the work: one look is an hour in which nothing can match, or a minute.
 *
 * Plan: it goes through the hours of UTC. If no local hour of an hour matches, the hour is skipped. Otherwise it
 * checks each minute on the local clock. For a minute that matches it applies the rule: is this local time skipped,
 * or does it occur twice?
 */
export function walkFireTimes(
  schedules: readonly Schedule[],
  bounds: Bounds,
  range: { readonly fromMs: number; readonly untilMs: number; readonly looks: number },
): Walk {
  const times = new Set<number>();
  const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY } = bounds;
  let looks = range.looks;
  let hour = Math.floor(range.fromMs / 1_000 / HOUR) * HOUR;
  for (; hour * 1_000 < range.untilMs && looks > 0; hour += HOUR) {
    for (const schedule of schedules) {
      const found = walkHour(schedule, hour);
      looks -= found.looks;
      for (const atMs of found.timesMs) times.add(atMs);
    }
  }
  const untilMs = Math.max(range.fromMs, Math.min(range.untilMs, hour * 1_000));
  const within = (atMs: number) => atMs >= Math.max(range.fromMs, startMs) && atMs < untilMs && atMs <= endMs;
  return { timesMs: [...times].filter(within).sort((a, b) => a - b), untilMs, looks: range.looks - looks };
}

interface Looked {
  readonly timesMs: number[];
  readonly looks: number;
}

function walkHour(schedule: Schedule, hour: number): Looked {
  const [fromMs, untilMs] = [hour * 1_000, (hour + HOUR) * 1_000];
  switch (schedule.kind) {
    case "cron":
      return walkCronHour(schedule, hour);
    case "rate": {
      const { everyMs, anchorMs } = schedule;
      const timesMs: number[] = [];
      const n = Math.max(0, Math.ceil((fromMs - anchorMs) / everyMs));
      for (let atMs = anchorMs + n * everyMs; atMs < untilMs; atMs += everyMs) timesMs.push(atMs);
      return { timesMs, looks: 1 };
    }
    case "once":
      return { timesMs: schedule.timesMs.filter((atMs) => atMs >= fromMs && atMs < untilMs), looks: 1 };
    case "calendarEdge":
      return walkEdges(schedule.calendar, schedule.edge === "OPENS", hour);
  }
}

function walkEdges(calendar: Calendar, opens: boolean, hour: number): Looked {
  const timesMs: number[] = [];
  let before = isOpen(calendar, hour * 1_000 - 1);
  for (let second = hour; second < hour + HOUR; second += MINUTE) {
    const open = isOpen(calendar, second * 1_000);
    if (open !== before && open === opens) timesMs.push(second * 1_000);
    before = open;
  }
  return { timesMs, looks: MINUTE };
}

function walkCronHour(schedule: CronSchedule, hour: number): Looked {
  const { zone, fields } = schedule;
  const [before, first, last] = [hour - 1, hour, hour + HOUR - 1].map((second) => zone.read(second));
  const steady = before === first && first === last;
  const local = hour + (first ?? 0);
  if (steady && !hourMatches(fields, local) && !hourMatches(fields, local + HOUR - 1)) {
    return { timesMs: [], looks: 1 };
  }
  const timesMs: number[] = [];
  for (let second = hour; second < hour + HOUR; second += MINUTE) {
    for (const at of walkMinute(schedule, second)) timesMs.push(at * 1_000);
  }
  return { timesMs, looks: MINUTE };
}

/** The fire times (epoch seconds) in one minute of UTC. */
function walkMinute({ zone, fields, dst }: CronSchedule, second: number): number[] {
  const offset = zone.read(second);
  const local = second + offset;
  const gap = offset - zone.read(second - 1);
  const shifts = !fields.periodic && dst.gap === "FIRE_AT_END" && gap > 0 && gap <= LONGEST_GAP_SECONDS;
  const atEndOfGap = shifts && matchesWithin(fields, local - gap, local) ? [second] : [];
  if (!minuteMatches(fields, local)) return atEndOfGap;
  const passes = passesOf(zone, second);
  const wanted = dst.overlap === "FIRST" ? passes[0] : passes.at(-1);
  if (!fields.periodic && dst.overlap !== "BOTH" && wanted !== second) return atEndOfGap;
  const matching = seconds(fields).map((each) => second + each);
  return [...new Set([...atEndOfGap, ...matching])];
}

/** All instants at which the zone's clock shows the same local time as at `second`, ascending. */
function passesOf(zone: ZoneOffsets, second: number): number[] {
  const local = second + zone.read(second);
  const nearby = [second - NEARBY, second, second + NEARBY].map((each) => local - zone.read(each));
  const real = nearby.filter((each) => each + zone.read(each) === local);
  return [...new Set(real)].sort((a, b) => a - b);
}

function matchesWithin(fields: CronFields, from: number, until: number): boolean {
  for (let local = from; local < until; local += MINUTE) if (minuteMatches(fields, local)) return true;
  return false;
}

function minuteMatches(fields: CronFields, local: number): boolean {
  const minute = Math.floor(local / MINUTE) % MINUTE;
  return inSixty(fields.minutesLow, fields.minutesHigh, minute) && hourMatches(fields, local);
}

function hourMatches(fields: CronFields, local: number): boolean {
  const hour = Math.floor(local / HOUR) % 24;
  return inSet(fields.hours, hour) && walkDayMatches(fields, Math.floor(local / 86_400));
}

function seconds(fields: CronFields): number[] {
  return Array.from({ length: MINUTE }, (_, second) => second).filter((second) =>
    inSixty(fields.secondsLow, fields.secondsHigh, second),
  );
}

function inSixty(low: number, high: number, value: number): boolean {
  return value < 30 ? inSet(low, value) : inSet(high, value - 30);
}

function inSet(set: number, value: number): boolean {
  return Math.floor(set / 2 ** value) % 2 === 1;
}
