import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Sliced } from "../schedules/slices.ts";

/** How far ahead the fire times of two revisions are compared: seven days. */
export const DIFFERENCE_MS = 7 * 86_400_000;
/** The most fire times of each revision that are computed. */
const MAX_FIRE_TIMES = 50_000;

/** Everything that determines the fire times of a revision. */
export interface RevisionTiming {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  /** How many triggers the job may still create; unlimited if absent. */
  readonly firesLeft?: number;
  /**
   * The last fire time that is waiting, in epoch milliseconds. If a calendar defers it to an opening, later fire times
   * deferred to the same opening make no trigger.
   */
  readonly waitingMs?: number | null;
}

/** The fire times that differ between two revisions. Times are epoch milliseconds, ascending. */
export interface Difference {
  /** The last instant that was compared. */
  readonly endMs: number;
  readonly added: readonly number[];
  readonly removed: readonly number[];
}

/**
 * Compares the fire times of two revisions that make a trigger, from `afterMs`, exclusive, for `lengthMs` (default:
 * seven days). Stops earlier if either revision has more than 50,000 fire times in that time, or when it is told to. An
 * instant that both revisions have is neither added nor removed. `before` is null for the first revision of a job.
 */
export function* compareRevisions(
  before: RevisionTiming | null,
  after: RevisionTiming,
  afterMs: number,
  lengthMs: number = DIFFERENCE_MS,
): Sliced<Difference> {
  const untilMs = afterMs + lengthMs;
  const old = before === null ? { times: [], endMs: untilMs } : yield* fireTimes(before, afterMs, untilMs);
  const now = yield* fireTimes(after, afterMs, untilMs);
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

function* fireTimes(
  timing: RevisionTiming,
  afterMs: number,
  untilMs: number,
): Sliced<{ readonly times: readonly number[]; readonly endMs: number }> {
  const { schedule, firesLeft = Number.POSITIVE_INFINITY } = timing;
  const fires = createGatekeeper(timing);
  const times: number[] = [];
  let at = schedule.nextAfter(afterMs);
  for (let seen = 0; at !== null && at <= untilMs && times.length < firesLeft; seen++) {
    if (seen === MAX_FIRE_TIMES || (yield)) return { times, endMs: at - 1 };
    if (fires(at)) times.push(at);
    at = schedule.nextAfter(at);
  }
  return { times, endMs: untilMs };
}

/**
 * Creates a function that tells whether a fire time makes a trigger. It must be called with ascending fire times. Of
 * all fire times that are deferred to the same opening, only the first makes a trigger. Until that opening no other
 * fire time makes a trigger, because some calendar is still closed; so the calendars need not be checked.
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
