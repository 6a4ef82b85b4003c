import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";

/** How far ahead the fire times of two revisions are compared. */
export const DIFFERENCE_MS = 7 * 86_400_000;
/** Most fire times of each revision that are looked at. */
const MAX_FIRE_TIMES = 50_000;

/** What decides the fire times of a revision. */
export interface RevisionTiming {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  /** How many triggers it may still make; without it, any number. */
  readonly firesLeft?: number;
  /** The last fire time that waits for its moment: an opening that it has been deferred to is taken. */
  readonly waitingMs?: number | null;
}

/** How one revision's fire times differ from another's. Times are epoch milliseconds, ascending. */
export interface Difference {
  /** Up to here, inclusive, they were compared. */
  readonly endMs: number;
  readonly added: readonly number[];
  readonly removed: readonly number[];
}

/**
 * Compares the fire times of two revisions after `afterMs`, for `lengthMs` (seven days) or as far as 50,000 of either
 * reach: those that make a trigger. An instant that both have is neither added nor removed. `before` is null for a first
 * revision.
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
  return {
    endMs,
    added: without(now.times, new Set(old.times), endMs),
    removed: without(old.times, new Set(now.times), endMs),
  };
}

function without(times: readonly number[], others: ReadonlySet<number>, endMs: number): number[] {
  return times.filter((time) => time <= endMs && !others.has(time));
}

function fireTimes(
  timing: RevisionTiming,
  afterMs: number,
  untilMs: number,
): { readonly times: readonly number[]; readonly endMs: number } {
  const { schedule, firesLeft = Number.POSITIVE_INFINITY } = timing;
  const fires = createGatekeeper(timing);
  const times: number[] = [];
  let at = schedule.nextAfter(afterMs);
  for (let seen = 0; at !== null && at <= untilMs && times.length < firesLeft; seen++) {
    if (seen === MAX_FIRE_TIMES) return { times, endMs: at - 1 };
    if (fires(at)) times.push(at);
    at = schedule.nextAfter(at);
  }
  return { times, endMs: untilMs };
}

/**
 * Tells of fire times, asked in order, whether they make a trigger. Of those deferred to one opening the first does. No
 * calendar is asked before that opening: until then not all are open, so none of these fires.
 */
function createGatekeeper({ gates, waitingMs }: RevisionTiming): (atMs: number) => boolean {
  let takenMs = Number.NEGATIVE_INFINITY;
  if (waitingMs !== undefined && waitingMs !== null) {
    const waiting = passGates(gates, waitingMs);
    if (waiting.kind === "DEFERRED") takenMs = waiting.untilMs;
  }
  return (atMs) => {
    if (atMs < takenMs) return false;
    const verdict = passGates(gates, atMs);
    if (verdict.kind === "DEFERRED") takenMs = verdict.untilMs;
    return verdict.kind !== "SKIPPED";
  };
}
