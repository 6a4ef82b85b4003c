import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import type { Sliced } from "./slices.ts";

/** How far back to look for a fire time. */
const LOOK_BACK_MS = 366 * 86_400_000;
/** Most fire times to look at. */
const LOOK_BACK_LIMIT = 10_000;

/**
 * Finds the last fire time up to `atMs`, inclusive, that no calendar skips. If that one is deferred to an opening, it
 * (or an earlier one) takes the opening, and a later fire time that is deferred to the same opening makes no trigger.
 * Returns null if there is none within a year, or among the 10,000 fire times looked at, or when the work is stopped.
 */
export function* lookBack(
  schedule: Pick<CompiledSchedule, "nextAfter">,
  gates: readonly CalendarGate[],
  atMs: number,
): Sliced<number | null> {
  let untilMs = atMs;
  for (let stepMs = 1_000, looked = 0; stepMs <= 2 * LOOK_BACK_MS; stepMs *= 2) {
    const found: number[] = [];
    const fromMs = atMs - stepMs;
    for (
      let next = schedule.nextAfter(fromMs);
      next !== null && next <= untilMs;
      next = schedule.nextAfter(next)
    ) {
      found.push(next);
      looked += 1;
      if (looked > LOOK_BACK_LIMIT || (looked % 100 === 0 && (yield))) return null;
    }
    for (const fireTimeMs of found.reverse()) {
      if (passGates(gates, fireTimeMs).kind !== "SKIPPED") return fireTimeMs;
      if (yield) return null;
    }
    untilMs = fromMs;
  }
  return null;
}
