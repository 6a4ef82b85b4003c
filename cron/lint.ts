import { type CalendarGate, nextOpeningOfAll } from "./calendar-gate.ts";
import { lintCron } from "./lint-cron.ts";
import { lintOffsets } from "./lint-offsets.ts";
import type { FirePlan } from "./preview.ts";
import { nextOf } from "./schedule.ts";
import type { Warning } from "./warning.ts";

export type LintInput = Readonly<{
  plan: FirePlan;
  nowMs: number;
  /** How long a trigger may be retried; left out, it is not compared with the interval. */
  retryHorizonMs?: number;
  /** How many other jobs fire at the top of an hour; left out, crowding is not warned of. */
  jobsAtTopOfHour?: number;
}>;

/** How many coming intervals are compared with the retry horizon. */
const INTERVALS = 10;

/**
 * Returns the warnings about when a job fires, as of `nowMs`: that it never does, that it does on more or fewer days
 * than its expression seems to say, that it crowds the top of the hour, which offset changes of the next two years
 * touch it, and that retries may outlast its interval. Empty for a job without schedules.
 */
export function lintPlan(input: LintInput): Warning[] {
  const { plan, nowMs } = input;
  if (plan.schedules.length === 0) return [];
  const warnings = lintFires(plan, nowMs);
  for (const [index, schedule] of plan.schedules.entries()) {
    if (schedule.kind !== "cron") continue;
    const field = `schedules[${index}].cron.expression`;
    warnings.push(...lintCron(schedule.fields, field, input.jobsAtTopOfHour));
    warnings.push(...lintOffsets(schedule, `schedules[${index}].timeZone`, nowMs));
  }
  const retries = lintRetries(input);
  return retries === null ? warnings : [...warnings, retries];
}

function lintFires(plan: FirePlan, nowMs: number): Warning[] {
  const warnings: Warning[] = [];
  const never = (field: string, message: string) => warnings.push({ code: "NEVER_FIRES", field, message });
  for (const [index, schedule] of plan.schedules.entries()) {
    if (nextOf([schedule], nowMs, plan.bounds) === null) {
      never(
        `schedules[${index}]`,
        "This schedule has no fire time from now on, within the job's start and end.",
      );
    }
  }
  const gates: readonly CalendarGate[] = plan.gates ?? [];
  for (const [index, gate] of gates.entries()) {
    if (nextOpeningOfAll([gate.calendar], nowMs) === null) {
      never(`calendars[${index}]`, `The calendar ${gate.name} does not open within ten years.`);
    }
  }
  const calendars = gates.map((gate) => gate.calendar);
  if (warnings.length === 0 && gates.length > 1 && nextOpeningOfAll(calendars, nowMs) === null) {
    never("calendars", "The calendars are not open at the same time within ten years.");
  }
  return warnings;
}

function lintRetries({ plan, nowMs, retryHorizonMs }: LintInput): Warning | null {
  if (retryHorizonMs === undefined) return null;
  let shortest = Number.POSITIVE_INFINITY;
  let previous = nextOf(plan.schedules, nowMs, plan.bounds);
  for (let n = 0; n < INTERVALS && previous !== null; n += 1) {
    const next = nextOf(plan.schedules, previous, plan.bounds);
    if (next !== null) shortest = Math.min(shortest, next - previous);
    previous = next;
  }
  if (retryHorizonMs <= shortest) return null;
  const message = `A trigger may be retried for ${retryHorizonMs / 1000} s, but the next one can follow after ${shortest / 1000} s.`;
  return { code: "RETRY_LONGER_THAN_INTERVAL", field: "retryPolicy.maxAge", message };
}
