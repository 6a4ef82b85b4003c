import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/**
 * What a backfill does with a past fire time:
 *
 * - TRIGGER: makes a trigger.
 * - REDELIVER: delivers the existing trigger again.
 * - OUTSIDE_CALENDAR: nothing, because a calendar skips it.
 * - SUCCEEDED: nothing, because its trigger has succeeded.
 * - ACTIVE: nothing, because its trigger is in flight, or the job itself is about to decide it.
 */
export type BackfillVerdict = "TRIGGER" | "REDELIVER" | "OUTSIDE_CALENDAR" | "SUCCEEDED" | "ACTIVE";

/** One fire time of a backfill. */
export interface BackfillItem {
  readonly fireTimeMs: number;
  readonly verdict: BackfillVerdict;
}

/** What the plan of a backfill depends on. Times are epoch milliseconds. */
export interface BackfillInput {
  readonly gates: readonly CalendarGate[];
  /** The state of each existing trigger, by fire time. */
  readonly states: ReadonlyMap<number, string>;
  /** Whether to deliver again what has succeeded. */
  readonly force: boolean;
  /** Whether the job itself has still to decide a fire time. Its trigger will then take its place in the chain. */
  isUndecided(fireTimeMs: number): boolean;
}

/** Returns the fire times of a schedule later than `afterMs` and earlier than `endMs`, at most `limit`, in order. */
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

/** The states of a trigger that has finished. */
const FINISHED: ReadonlySet<string> = new Set(["SUCCEEDED", "EXHAUSTED", "CANCELLED"]);

/** Decides what to do with each fire time. One that a calendar defers is triggered; one that it skips is left out. */
export function planBackfill(input: BackfillInput, fireTimes: readonly number[]): BackfillItem[] {
  return fireTimes.map((fireTimeMs) => ({ fireTimeMs, verdict: decide(input, fireTimeMs) }));
}

function decide(input: BackfillInput, fireTimeMs: number): BackfillVerdict {
  const { gates, states, force } = input;
  if (input.isUndecided(fireTimeMs)) return "ACTIVE";
  if (passGates(gates, fireTimeMs).kind === "SKIPPED") return "OUTSIDE_CALENDAR";
  const state = states.get(fireTimeMs);
  if (state === undefined) return "TRIGGER";
  if (!FINISHED.has(state)) return "ACTIVE";
  return state === "SUCCEEDED" && !force ? "SUCCEEDED" : "REDELIVER";
}
