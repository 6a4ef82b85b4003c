import { LONGEST_GAP_SECONDS } from "./dst-policy.ts";
import { DAY_SECONDS, formatDate, formatLocal } from "./local-time.ts";
import { nextLocalSecond } from "./next.ts";
import { offsetChanges } from "./offset-note.ts";
import type { Bounds, CronSchedule } from "./schedule.ts";
import type { Warning } from "./warning.ts";

/** How far ahead offset changes are looked at: two years. */
const AHEAD_MS = 731 * 86_400_000;

const ALL_HOURS = (1 << 24) - 1;

/** No offset change skips or repeats more: the day that a zone moves across the date line. */
const LONGEST_CHANGE_MS = 86_400_000;

/**
 * Returns a warning for each offset change of the two years after `afterMs` that skips or repeats, within the bounds, a
 * local time at which the schedule is due. Jobs in rhythm that run in every hour of the day take no harm and are left out.
 */
export function lintOffsets(
  schedule: CronSchedule,
  field: string,
  { afterMs, bounds = {} }: { afterMs: number; bounds?: Bounds },
): Warning[] {
  if (schedule.fields.rhythm && schedule.fields.hours === ALL_HOURS) return [];
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
    const what = before < after ? "are skipped" : "come twice";
    const message = `On ${date} in ${schedule.zone.name} the times ${times} ${what}: ${outcome(schedule, before < after, last - first)}.`;
    warnings.push({ code: "OFFSET_CHANGE", field, message });
  }
  return warnings;
}

function outcome(schedule: CronSchedule, gap: boolean, seconds: number): string {
  const long = seconds > LONGEST_GAP_SECONDS;
  if (schedule.fields.rhythm) return gap ? "it does not fire at them" : "it fires at them both times";
  if (gap)
    return schedule.dst.gap === "SKIP" || long ? "it does not fire at them" : "it fires once, at their end";
  if (schedule.dst.overlap === "BOTH") return "it fires both times";
  return `it fires the ${schedule.dst.overlap === "FIRST" ? "first" : "second"} time`;
}
