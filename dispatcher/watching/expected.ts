import { type CalendarGate, passGates } from "../../cron/calendar-gate.ts";
import { flexibleDelay } from "../../cron/flexible-window.ts";
import type { WatchedRevision } from "./watched-revision.ts";

/** An epoch of a job: a part of time with one state and one revision. Times are epoch milliseconds. */
export interface WatchedEpoch {
  readonly isActive: boolean;
  readonly revision: number;
  /** Its fire times are later than this. */
  readonly afterMs: number;
  /** Its fire times are not later than this; null for the present epoch. */
  readonly endMs: number | null;
}

/** What the ledger says about a job. Times are epoch milliseconds. */
export interface WatchedLedger {
  readonly jobUid: string;
  /** In order; the last one is in effect. */
  readonly epochs: readonly WatchedEpoch[];
  readonly revisions: ReadonlyMap<number, WatchedRevision>;
  /** When the pause that is in effect ends by itself; null if it does not. */
  readonly pauseUntilMs: number | null;
  /** Whether no fire time is left. */
  readonly isFinished: boolean;
  /** The fire time of the job's last scheduled trigger; null if there is none. */
  readonly lastFireTimeMs: number | null;
  /** The calendars of a revision as they were at an instant; undefined if one of them is not known. */
  gatesAt(revision: WatchedRevision, atMs: number): readonly CalendarGate[] | undefined;
}

/** A fire time that must succeed, and until when. Epoch milliseconds. */
export interface ExpectedFireTime {
  readonly atMs: number;
  readonly deadlineMs: number;
}

/** Which part of a job's fire times is looked at. Epoch milliseconds. */
export interface ExpectedRange {
  /** Only later fire times. */
  readonly afterMs: number;
  /** Only fire times whose deadline is this instant at the latest. */
  readonly nowMs: number;
  /** How long after its effective time a fire time must have succeeded. */
  readonly withinMs: number;
  /** The most fire times that are looked at. */
  readonly limit: number;
}

/** The fire times that are due to be judged. */
export interface Expected {
  readonly due: readonly ExpectedFireTime[];
  /** Every fire time up to this one is in `due`, or is not to be delivered. */
  readonly untilMs: number;
  /** The deadline of the next fire time, or now if there was more than the limit; null if there is none. */
  readonly nextMs: number | null;
}

/**
 * Computes the fire times of a job after `afterMs` that should have succeeded by now: those of the epochs in which it was
 * active, without those that its calendars skip. A flexible window and a calendar that defers move the deadline. Of the
 * fire times that are deferred to one opening, only the first counts.
 */
export function expectedFireTimes(ledger: WatchedLedger, range: ExpectedRange): Expected {
  const due: ExpectedFireTime[] = [];
  let untilMs = range.afterMs;
  let openedMs: number | null = null;
  let looked = 0;
  for (const segment of segmentsOf(ledger)) {
    let atMs = segment.revision.nextAfter(Math.max(segment.afterMs, range.afterMs));
    while (atMs !== null && atMs <= segment.lastMs) {
      if (looked === range.limit) return { due, untilMs, nextMs: range.nowMs };
      looked += 1;
      const nextMs = segment.revision.nextAfter(atMs);
      const effectiveMs = effectiveOf(ledger, segment.revision, atMs, nextMs);
      // Nothing later than now can be due, so calendars far ahead are not asked.
      if (atMs > range.nowMs) return { due, untilMs, nextMs: (effectiveMs ?? atMs) + range.withinMs };
      if (effectiveMs !== null && effectiveMs !== openedMs) {
        const deadlineMs = effectiveMs + range.withinMs;
        if (deadlineMs > range.nowMs) return { due, untilMs, nextMs: deadlineMs };
        due.push({ atMs, deadlineMs });
        openedMs = effectiveMs;
      }
      untilMs = atMs;
      atMs = nextMs;
    }
  }
  return { due, untilMs, nextMs: null };
}

interface Segment {
  readonly revision: WatchedRevision;
  readonly afterMs: number;
  readonly lastMs: number;
}

/** Returns the parts of time in which the job fires. An epoch ends where a later one begins. */
function segmentsOf({
  epochs,
  revisions,
  pauseUntilMs,
  isFinished,
  lastFireTimeMs,
}: WatchedLedger): Segment[] {
  return epochs.flatMap(({ isActive, revision: number, afterMs, endMs }, index) => {
    const revision = revisions.get(number);
    const isLast = index === epochs.length - 1;
    if (revision === undefined) return [];
    const later = epochs.slice(index + 1).map((epoch) => epoch.afterMs);
    const lastMs = Math.min(endMs ?? Number.POSITIVE_INFINITY, ...later);
    if (isActive) {
      // The scheduler has counted the triggers of a job with maxFires.
      const isSpent = isLast && isFinished && revision.maxFires > 0;
      return [{ revision, afterMs, lastMs: isSpent ? Math.min(lastMs, lastFireTimeMs ?? afterMs) : lastMs }];
    }
    // A pause ends at its time, whether or not a scheduler is there to end it.
    return isLast && pauseUntilMs !== null ? [{ revision, afterMs: pauseUntilMs - 1, lastMs }] : [];
  });
}

/** Returns when a fire time is to be delivered at the latest; null if it is not to be delivered. */
function effectiveOf(
  ledger: WatchedLedger,
  revision: WatchedRevision,
  atMs: number,
  nextMs: number | null,
): number | null {
  const { windowMs, calendars } = revision;
  if (calendars.length > 0) {
    const gates = ledger.gatesAt(revision, atMs);
    const verdict = gates === undefined ? undefined : passGates(gates, atMs);
    if (verdict?.kind === "SKIPPED") return null;
    if (verdict?.kind === "DEFERRED") return verdict.untilMs;
  }
  return windowMs === 0 ? atMs : atMs + flexibleDelay(ledger.jobUid, windowMs, atMs, nextMs);
}
