import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import type { Sliced } from "./slices.ts";

/** How far back a fire time is looked for. */
const LOOK_BACK_MS = 366 * 86_400_000;
/** How many fire times are looked at. */
const LOOK_BACK_LIMIT = 10_000;

/**
 * Finds the last fire time up to `atMs` that no calendar skips: if it is deferred, it has taken, or left to an earlier
 * one, the opening that the next is deferred to. Null if there is none among 10,000 and within a year.
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
