import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/** What becomes of a past fire time in a backfill. */
export type BackfillVerdict = "TRIGGER" | "REDELIVER" | "OUTSIDE_CALENDAR" | "SUCCEEDED" | "ACTIVE";

/** One fire time of a backfill. */
export interface BackfillItem {
  readonly fireTimeMs: number;
  readonly verdict: BackfillVerdict;
}

/** What decides a backfill. Times are epoch milliseconds. */
export interface BackfillInput {
  readonly gates: readonly CalendarGate[];
  /** State of each trigger that there is, by fire time. */
  readonly states: ReadonlyMap<number, string>;
  readonly force: boolean;
  /** Whether the job is still to decide a fire time itself: then it is on its way, in its place in the chain. */
  isUndecided(fireTimeMs: number): boolean;
}

/** The fire times of a schedule after `afterMs` and before `endMs`, at most `limit`. */
export function fireTimesBetween(
  schedule: Pick<CompiledSchedule, "nextAfter">,
  { afterMs, endMs }: { readonly afterMs: number; readonly endMs: number },
  limit: number,
): number[] {
  const times: number[] = [];
  for (let at = schedule.nextAfter(afterMs); at !== null && at < endMs; at = schedule.nextAfter(at)) {
    if (times.length === limit) break;
    times.push(at);
  }
  return times;
}

const AT_REST: ReadonlySet<string> = new Set(["SUCCEEDED", "EXHAUSTED", "CANCELLED"]);

/** Decides each fire time: one that a calendar defers is triggered, one that it skips is left out. */
export function planBackfill(input: BackfillInput, fireTimes: readonly number[]): BackfillItem[] {
  return fireTimes.map((fireTimeMs) => ({ fireTimeMs, verdict: verdictOf(input, fireTimeMs) }));
}

function verdictOf(input: BackfillInput, fireTimeMs: number): BackfillVerdict {
  const { gates, states, force } = input;
  if (input.isUndecided(fireTimeMs)) return "ACTIVE";
  if (passGates(gates, fireTimeMs).kind === "SKIPPED") return "OUTSIDE_CALENDAR";
  const state = states.get(fireTimeMs);
  if (state === undefined) return "TRIGGER";
  if (!AT_REST.has(state)) return "ACTIVE";
  return state === "SUCCEEDED" && !force ? "SUCCEEDED" : "REDELIVER";
}
