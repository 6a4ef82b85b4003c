import { type CalendarGate, passGates } from "../cron/calendar-gate.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";

/** How far ahead the fire times of two revisions are compared. */
export const DIFFERENCE_MS = 7 * 86_400_000;
/** Most fire times of each revision that are looked at. */
const MAX_FIRE_TIMES = 50_000;
const SHOWN = 10;

/** What decides the fire times of a revision. */
export interface RevisionTiming {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
}

/** How one revision's fire times differ from another's. Times are epoch milliseconds. */
export interface Difference {
  /** Up to here, inclusive, they were compared. */
  readonly endMs: number;
  readonly addedCount: number;
  readonly removedCount: number;
  /** The first ten. */
  readonly added: readonly number[];
  /** The first ten. */
  readonly removed: readonly number[];
}

/**
 * Compares the fire times of two revisions after `afterMs`, for `lengthMs` (seven days) or as far as 50,000 of either
 * reach. An instant that both have is neither added nor removed. `before` is null for a first revision.
 */
export function differenceOf(
  before: RevisionTiming | null,
  after: RevisionTiming,
  afterMs: number,
  lengthMs: number = DIFFERENCE_MS,
): Difference {
  const untilMs = afterMs + lengthMs;
  const old = before === null ? { times: [], endMs: untilMs } : fireTimes(before, afterMs, untilMs);
  const now = fireTimes(after, afterMs, untilMs);
  const endMs = Math.min(old.endMs, now.endMs);
  const added = without(now.times, new Set(old.times), endMs);
  const removed = without(old.times, new Set(now.times), endMs);
  return {
    endMs,
    addedCount: added.length,
    removedCount: removed.length,
    added: added.slice(0, SHOWN),
    removed: removed.slice(0, SHOWN),
  };
}

function without(times: readonly number[], others: ReadonlySet<number>, endMs: number): number[] {
  return times.filter((time) => time <= endMs && !others.has(time));
}

function fireTimes(
  { schedule, gates }: RevisionTiming,
  afterMs: number,
  untilMs: number,
): { readonly times: readonly number[]; readonly endMs: number } {
  const times: number[] = [];
  let at = schedule.nextAfter(afterMs);
  for (let seen = 0; at !== null && at <= untilMs; seen++, at = schedule.nextAfter(at)) {
    if (seen === MAX_FIRE_TIMES) return { times, endMs: at - 1 };
    if (passGates(gates, at).kind !== "SKIPPED") times.push(at);
  }
  return { times, endMs: untilMs };
}
