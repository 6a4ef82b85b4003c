import { LONGEST_GAP_SECONDS } from "./dst-policy.ts";
import { DAY_SECONDS, formatDate, formatLocal } from "./local-time.ts";
import { nextLocalSecond } from "./next.ts";
import { noteOffset, offsetChanges } from "./offset-note.ts";
import { type Bounds, type CronSchedule, nextOfSchedule, type Schedule, zoneOf } from "./schedule.ts";
import type { Warning } from "./warning.ts";

/** How far ahead offset changes are checked: two years. */
const AHEAD_MS = 731 * 86_400_000;

const ALL_HOURS = (1 << 24) - 1;

/** The longest time that an offset change skips or repeats: a day, when a zone crosses the date line. */
const LONGEST_CHANGE_MS = 86_400_000;

/** The period that the warnings of a job are about. */
type Within = Readonly<{ afterMs: number; bounds?: Bounds }>;

/**
 * Returns a warning for each offset change of the two years after `afterMs` that skips or repeats a local time at
 * which the schedule is due, within the bounds. A rate has no local times. A periodic job that runs in every hour of
 * the day is not affected.
 */
export function lintOffsets(schedule: Schedule, field: string, within: Within): Warning[] {
  if (schedule.kind === "rate") return [];
  return schedule.kind === "cron"
    ? lintCronOffsets(schedule, field, within)
    : lintNoted(schedule, field, within);
}

/** How many fire times are checked at one offset change; usually there is one. */
const MOST_AT_CHANGE = 20;

const NOTED = {
  GAP_SHIFTED:
    "the local time of the schedule does not exist, so it fires at the moment when the clocks move forward",
  FIRST_OF_TWO: "the local time of the schedule occurs twice; it fires the first time",
  SECOND_OF_TWO: "the local time of the schedule occurs twice; it fires the second time",
} as const;

/** Lints a schedule with few fire times: checks those near an offset change, with the notes that a preview shows. */
function lintNoted(schedule: Schedule, field: string, { afterMs, bounds = {} }: Within): Warning[] {
  const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY } = bounds;
  const toMs = Math.min(afterMs + AHEAD_MS, endMs);
  const warnings: Warning[] = [];
  const zone = zoneOf(schedule);
  for (const span of offsetChanges(zone, afterMs - LONGEST_CHANGE_MS, toMs + LONGEST_CHANGE_MS)) {
    const changeMs = span.start * 1000;
    let atMs: number | null = Math.max(afterMs, startMs - 1, changeMs - LONGEST_CHANGE_MS);
    for (let looked = 0; looked < MOST_AT_CHANGE; looked += 1) {
      atMs = nextOfSchedule(schedule, atMs);
      if (atMs === null || atMs > Math.min(toMs, changeMs + LONGEST_CHANGE_MS)) break;
      const note = noteOffset(schedule, atMs);
      if (note === null) continue;
      const date = formatDate(Math.floor((Math.floor(atMs / 1000) + span.offset) / DAY_SECONDS));
      warnings.push({ code: "OFFSET_CHANGE", field, message: `On ${date} in ${zone.name} ${NOTED[note]}.` });
    }
  }
  return warnings;
}

function lintCronOffsets(schedule: CronSchedule, field: string, { afterMs, bounds = {} }: Within): Warning[] {
  if (schedule.fields.periodic && schedule.fields.hours === ALL_HOURS) return [];
  const { startMs = Number.NEGATIVE_INFINITY, endMs = Number.POSITIVE_INFINITY } = bounds;
  const fromMs = Math.max(afterMs, startMs - 1);
  const toMs = Math.min(afterMs + AHEAD_MS, endMs);
  const warnings: Warning[] = [];
  for (const span of offsetChanges(schedule.zone, fromMs - LONGEST_CHANGE_MS, toMs + LONGEST_CHANGE_MS)) {
    const before = span.start + span.offsetBefore;
    const after = span.start + span.offset;
    const [first, last] = before < after ? [before, after] : [after, before];
    const repeated = Math.max(0, before - after);
    if ((span.start + repeated) * 1000 <= fromMs || (span.start - repeated) * 1000 > toMs) continue;
    if (nextLocalSecond(schedule.fields, first) >= last) continue;
    const times = `${formatLocal(first).slice(11, 16)} to ${formatLocal(last).slice(11, 16)}`;
    const date = formatDate(Math.floor(first / DAY_SECONDS));
    const what = before < after ? "do not exist" : "occur twice";
    const message = `On ${date} in ${schedule.zone.name} the local times ${times} ${what}: ${outcome(schedule, before < after, last - first)}.`;
    warnings.push({ code: "OFFSET_CHANGE", field, message });
  }
  return warnings;
}

function outcome(schedule: CronSchedule, gap: boolean, seconds: number): string {
  const long = seconds > LONGEST_GAP_SECONDS;
  if (schedule.fields.periodic)
    return gap ? "the schedule does not fire then" : "the schedule fires both times";
  if (gap)
    return schedule.dst.gap === "SKIP" || long
      ? "the schedule does not fire then"
      : "the schedule fires once, at the end of the gap";
  if (schedule.dst.overlap === "BOTH") return "the schedule fires both times";
  return `the schedule fires the ${schedule.dst.overlap === "FIRST" ? "first" : "second"} time`;
}
