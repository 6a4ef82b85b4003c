import { nextChange } from "./calendar.ts";
import { type CalendarGate, MAX_DEFER_MS, passGates } from "./calendar-gate.ts";
import type { FirePlan } from "./preview.ts";
import { nextOf } from "./schedule.ts";

/** The result of a search for a fire time that the calendars do not skip. */
export type Passing = Readonly<{
  /** The nominal fire time, or null if none was found. */
  atMs: number | null;
  /** The opening of the calendars to which it is deferred, or null. */
  openingMs: number | null;
  /**
   * The last fire time that was checked and does not pass. Null if the first one passes, or if there is no fire time.
   */
  skippedMs: number | null;
  /** The names of the calendars that skipped fire times, without duplicates. */
  closed: readonly string[];
  /** How many fire times were checked. */
  steps: number;
}>;

/** How many fire times a search checks by default: a year of daily ones. */
export const PASSING_STEPS = 366;

/**
 * Returns the first fire time strictly later than `afterMs` that makes a trigger. The calendars must not skip it.
 * They must not defer it to the opening `takenMs` either, because an earlier fire time waits for that opening
 * already.
 *
 * After a fire time that does not pass, the search continues where the calendar opens again. So a week of minutes
 * outside the hours is one step. The search ends after `steps` fire times or ten years.
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

// Also null if the fire time would be deferred but no opening comes within ten years: later fire times find none
// either.
function reopeningOf(gates: readonly CalendarGate[], closed: string, atMs: number): number | null {
  const gate = gates.find(({ name, outside }) => outside === "SKIP" && name === closed);
  return gate === undefined ? null : nextChange(gate.calendar, atMs);
}
