import { nextChange } from "./calendar.ts";
import { type CalendarGate, MAX_DEFER_MS, passGates } from "./calendar-gate.ts";
import type { FirePlan } from "./preview.ts";
import { nextOf } from "./schedule.ts";

/** What a search for a fire time that the calendars let through has found. */
export type Passing = Readonly<{
  /** The fire time (nominal), or null if none was found. */
  atMs: number | null;
  /** The opening to which it is deferred, or null. */
  openingMs: number | null;
  /** The last fire time that was looked at and does not pass, or null if the first one passes or there is none. */
  skippedMs: number | null;
  /** The names of the calendars that skipped those, each once. */
  closed: readonly string[];
  /** How many fire times were looked at. */
  steps: number;
}>;

/** How many fire times are looked at unless told: a year of daily ones. */
export const PASSING_STEPS = 366;

/**
 * Returns the first fire time strictly later than `afterMs` that makes a trigger: one that the calendars neither skip
 * nor defer to the opening `takenMs`, for which an earlier one waits already.
 *
 * From one that does not pass the search goes on where the calendar opens again, so a week of minutes outside the
 * hours is one step. It ends after `steps` of them and after ten years.
 */
export function nextPassing(
  plan: FirePlan,
  afterMs: number,
  { steps = PASSING_STEPS, takenMs = null }: { steps?: number; takenMs?: number | null } = {},
): Passing {
  const gates = plan.gates ?? [];
  const closed = new Set<string>();
  let skippedMs: number | null = null;
  let from = afterMs;
  let step = 0;
  while (step < steps) {
    const atMs = nextOf(plan.schedules, from, plan.bounds);
    if (atMs === null) break;
    step += 1;
    const verdict = passGates(gates, atMs);
    const openingMs = verdict.kind === "DEFERRED" ? verdict.untilMs : null;
    if (verdict.kind === "OPEN" || (openingMs !== null && openingMs !== takenMs)) {
      return { atMs, openingMs, skippedMs, closed: [...closed], steps: step };
    }
    skippedMs = atMs;
    closed.add(verdict.calendar);
    const reopening = openingMs ?? reopeningOf(gates, verdict.calendar, atMs);
    if (reopening === null || reopening > afterMs + MAX_DEFER_MS) break;
    from = reopening - 1;
  }
  return { atMs: null, openingMs: null, skippedMs, closed: [...closed], steps: step };
}

// Null as well for what would be deferred and finds no opening within ten years: nor does what follows it.
function reopeningOf(gates: readonly CalendarGate[], closed: string, atMs: number): number | null {
  const gate = gates.find(({ name, outside }) => outside === "SKIP" && name === closed);
  return gate === undefined ? null : nextChange(gate.calendar, atMs);
}
