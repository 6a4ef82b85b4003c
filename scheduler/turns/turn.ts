import { type CalendarGate, checkAll, passGates } from "../../cron/calendar-gate.ts";
import { flexibleDelay } from "../../cron/flexible-window.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { SkipRange, SkipReason } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { createOverdue } from "../schedules/overdue.ts";
import {
  type Draft,
  fire,
  handedFrom,
  horizonOfTurn,
  isBusy,
  isFull,
  isSpent,
  moveCursor,
  type Position,
  skip,
  skipWaiting,
  startDraft,
  type TurnInput,
  wait,
  waitForEnd,
  waitUntil,
} from "./turn-draft.ts";

/** A fire time that is decided later than this after its effective time is late: the misfire policy applies to it. */
export const LATE_MS = 10_000;

/** What a turn decided. Times are epoch milliseconds. */
export interface Turn {
  readonly events: readonly TriggerEventInit[];
  readonly skips: readonly SkipRange[];
  readonly position: Position;
  /** The job's last fire time, once it has fired `maxFires` times; null before. */
  readonly endMs: number | null;
  /** Whether the job has no fire time left and its last trigger is due. */
  readonly finished: boolean;
  /** When to take the next turn; null when there is none to take. */
  readonly wakeMs: number | null;
  /** Whether a turn must also be taken when an earlier trigger has ended. */
  readonly waitsForEnd: boolean;
  /** Whether a limit ended the turn: more is due at once. */
  readonly more: boolean;
  /** How many fire times were looked at. */
  readonly decisions: number;
}

/**
 * Takes one turn of an active job: decides its due fire times in order. Each fire time is computed from the one before,
 * never from the clock, so none is lost however late the turn runs. This is a pure function; the tick, a change of a job
 * and a simulation all use it.
 *
 * 1. Fire times that wait are decided first. Without an overlap policy, one is handed over when its effective time is
 *    not after the horizon; with one, when its effective time has come and no earlier trigger is unfinished.
 * 2. Then the cursor moves from fire time to fire time. A fire time that makes a trigger is handed over up to the
 *    horizon, or waits. One that makes none is decided only when it has come, not ahead of time. So no skip is ever
 *    later than the change of a job that follows it.
 * 3. What is left undecided determines when the next turn is due.
 */
export function takeTurn(input: TurnInput): Turn {
  const overdue = createOverdue(input.schedule, (atMs) => {
    const due = dueTimeOf(input, atMs);
    return due.kind === "SKIP" ? null : due.atMs;
  });
  const draft = startDraft(input, overdue);
  while (releaseWaiting(draft));
  while (decideNext(draft));
  return finish(draft);
}

function finish(draft: Draft): Turn {
  const { next: nextFireTimeMs, last: lastFireTimeMs, lastSeq, waiting, run } = draft;
  const { skipped, missed, events, skips, endMs, more, waitsForEnd } = draft;
  const { nowMs, schedule } = draft.input;
  const over = nextFireTimeMs === null && waiting.length === 0 && schedule.plan.schedules.length > 0;
  // The last trigger may be due in the future. The job is finished only then.
  const finished = over && draft.lastEffectiveMs <= nowMs;
  // A job with a backlog keeps its old wake time, so that the tick handles it after the jobs that are on time.
  const moreMs = Math.min(nowMs, draft.input.row.wake_time ?? nowMs);
  const wakeMs = more ? moreMs : over ? draft.lastEffectiveMs : draft.wakeMs;
  const cursorMs = nextFireTimeMs ?? Number.POSITIVE_INFINITY;
  // A change of the job may leave a request to skip an instant that is no fire time any more. It is dropped once the
  // cursor has passed it.
  const requested = draft.requested.filter((each) => each >= cursorMs || waiting.includes(each));
  const late = draft.late.filter((each) => waiting.includes(each));
  const carry = { waiting, late, requested, run, skipped, missed };
  return {
    events,
    skips,
    position: { nextFireTimeMs, lastFireTimeMs, lastSeq, carry },
    endMs,
    finished,
    wakeMs: finished || wakeMs === Number.POSITIVE_INFINITY ? null : wakeMs,
    waitsForEnd,
    more,
    decisions: draft.decisions,
  };
}

/** When a fire time is due, or which calendar skips it. `atMs` is the effective time in epoch milliseconds. */
export type DueTime =
  | { readonly kind: "SKIP"; readonly calendar: string }
  | { readonly kind: "AT"; readonly atMs: number; readonly deferredBy: string | null };

/**
 * Computes when a fire time is due: at the opening that a calendar defers it to, or else after its delay in the
 * flexible window, which ends early where a calendar closes. A fire time that waited when the job changed is not due
 * before the change.
 */
export function dueTimeOf(
  {
    row,
    schedule,
    gates,
  }: Pick<TurnInput, "schedule" | "gates"> & {
    readonly row: Pick<TurnInput["row"], "after_time" | "update_time">;
  },
  fireTimeMs: number,
): DueTime {
  const gate = passGates(gates, fireTimeMs);
  if (gate.kind === "SKIPPED") return { kind: "SKIP", calendar: gate.calendar };
  const atMs = gate.kind === "DEFERRED" ? gate.untilMs : fireTimeMs + delayOf(schedule, gates, fireTimeMs);
  return {
    kind: "AT",
    atMs: fireTimeMs <= row.after_time ? Math.max(atMs, row.update_time) : atMs,
    deferredBy: gate.kind === "DEFERRED" ? gate.calendar : null,
  };
}

function delayOf(schedule: CompiledSchedule, gates: readonly CalendarGate[], fireTimeMs: number): number {
  const window = schedule.plan.flexibleWindow;
  if (window === undefined) return 0;
  const nextMs = schedule.nextAfter(fireTimeMs);
  const delayMs = flexibleDelay(window.jobUid, window.windowMs, fireTimeMs, nextMs);
  if (delayMs === 0 || gates.length === 0) return delayMs;
  const calendars = gates.map(({ calendar }) => calendar);
  const closesMs = checkAll(calendars, fireTimeMs).changeMs ?? Number.POSITIVE_INFINITY;
  if (fireTimeMs + delayMs < closesMs) return delayMs;
  const endMs = Math.min(closesMs, nextMs ?? closesMs);
  return flexibleDelay(window.jobUid, window.windowMs, fireTimeMs, endMs);
}

/** Decides the first fire time that waits. Returns false when it keeps waiting, or none waits. */
function releaseWaiting(draft: Draft): boolean {
  const [fireTimeMs] = draft.waiting;
  if (fireTimeMs === undefined || isFull(draft)) return false;
  const { row, nowMs, lookAheadMs, schedule } = draft.input;
  const { overlap } = schedule.policies;
  if (handedFrom(draft, fireTimeMs)?.fireTimeMs === fireTimeMs) {
    draft.waiting.shift();
    return fire(draft, fireTimeMs, nowMs, TriggerKind.SCHEDULED);
  }
  const requested = draft.requested.includes(fireTimeMs);
  const due = dueTimeOf(draft.input, fireTimeMs);
  // A fire time can wait for its delay before it has come. A skip now would be lost: a change would decide it again.
  if ((requested || due.kind === "SKIP") && fireTimeMs > nowMs) return waitUntil(draft, fireTimeMs);
  if (requested) return skipWaiting(draft, fireTimeMs, "SKIPPED_BY_REQUEST", "");
  if (due.kind === "SKIP") return skipWaiting(draft, fireTimeMs, "OUTSIDE_CALENDAR", due.calendar);
  const isAhead = overlap === "ALLOW_ALL";
  if (due.atMs > (isAhead ? horizonOfTurn(draft.input) : nowMs)) {
    return waitUntil(draft, isAhead ? due.atMs - lookAheadMs : due.atMs);
  }
  if (overlap === "BUFFER" && isBusy(draft)) return skipOverflow(draft) || waitForEnd(draft);
  if (overlap === "SKIP" && isBusy(draft)) return skipWaiting(draft, fireTimeMs, "OVERLAP", "");
  // It is late only from the time on when we should have looked at it. Not counted are the wait for an earlier trigger,
  // and the wait for an opening that a changed calendar has since moved to an earlier time.
  const dueMs = Math.max(due.atMs, Math.min(nowMs, row.wake_time ?? due.atMs));
  const missed = overlap === "BUFFER" ? null : misfireOf(draft, dueMs, null);
  if (missed !== null) return skipWaiting(draft, fireTimeMs, missed, "");
  draft.waiting.shift();
  if (overlap !== "BUFFER") return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
  const kind = draft.late.includes(fireTimeMs) ? TriggerKind.CATCHUP : TriggerKind.SCHEDULED;
  return fire(draft, fireTimeMs, Math.max(due.atMs, nowMs), kind);
}

/**
 * Skips a due fire time that finds the buffer full: `bufferRoom` others already wait for the earlier trigger. Fire
 * times that still wait for their delay or their opening take no room in the buffer. Returns false when none is
 * skipped.
 */
function skipOverflow(draft: Draft): boolean {
  const { nowMs, schedule } = draft.input;
  const { bufferRoom } = schedule.policies;
  if (draft.waiting.length <= bufferRoom) return false;
  const dueNow = draft.waiting.filter((each) => {
    const due = dueTimeOf(draft.input, each);
    return due.kind === "AT" && due.atMs <= nowMs;
  });
  const overflowing = dueNow[bufferRoom];
  return overflowing !== undefined && skipWaiting(draft, overflowing, "BUFFER_FULL", "");
}

/**
 * Decides the fire time at the cursor and moves the cursor. Returns false when it cannot be decided yet, or none is
 * left.
 */
function decideNext(draft: Draft): boolean {
  const fireTimeMs = draft.next;
  if (fireTimeMs === null || isSpent(draft) || isFull(draft)) return false;
  const handed = handedFrom(draft, fireTimeMs);
  if (handed?.fireTimeMs === fireTimeMs) return fireAgain(draft, fireTimeMs);
  if (draft.requested.includes(fireTimeMs)) {
    return decideSkip(draft, fireTimeMs, "SKIPPED_BY_REQUEST", "");
  }
  const due = dueTimeOf(draft.input, fireTimeMs);
  if (due.kind === "SKIP") return decideSkip(draft, fireTimeMs, "OUTSIDE_CALENDAR", due.calendar);
  if (due.deferredBy !== null && isOpeningTaken(draft, due.atMs)) {
    return decideSkip(draft, fireTimeMs, "OUTSIDE_CALENDAR", due.deferredBy);
  }
  if (handed !== undefined && draft.lastSeq + 1 < handed.seq) return fireAgain(draft, fireTimeMs);
  const missed = misfireOf(draft, due.atMs, fireTimeMs);
  if (missed !== null) return decideSkip(draft, fireTimeMs, missed, "");
  return draft.input.schedule.policies.overlap === "ALLOW_ALL"
    ? decideAhead(draft, fireTimeMs, due.atMs)
    : decideExactly(draft, fireTimeMs, due.atMs);
}

/**
 * Decides again what a turn decided whose commit was lost. Whatever the clock says by now, a fire time that already has
 * its trigger fires. An earlier one fires too if the sequence numbers leave room for it. The dispatcher ignores events
 * that it has recorded already.
 */
function fireAgain(draft: Draft, fireTimeMs: number): true {
  moveCursor(draft, fireTimeMs);
  const due = dueTimeOf(draft.input, fireTimeMs);
  const dueMs = due.kind === "SKIP" ? fireTimeMs : due.atMs;
  return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
}

/** Decides a fire time of a job without an overlap policy: its trigger is handed over before its effective time. */
function decideAhead(draft: Draft, fireTimeMs: number, dueMs: number): boolean {
  const { lookAheadMs } = draft.input;
  const horizonMs = horizonOfTurn(draft.input);
  if (dueMs <= horizonMs) {
    moveCursor(draft, fireTimeMs);
    return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
  }
  if (fireTimeMs > horizonMs) return waitUntil(draft, fireTimeMs - lookAheadMs);
  moveCursor(draft, fireTimeMs);
  return wait(draft, fireTimeMs, dueMs - lookAheadMs);
}

/**
 * Decides a fire time of a job with an overlap policy. It asks whether an earlier trigger is unfinished at the fire
 * time itself, not before. The caller holds the lock of the job's row, so no other scheduler and no change decides it
 * too.
 */
function decideExactly(draft: Draft, fireTimeMs: number, dueMs: number): boolean {
  const { nowMs, schedule } = draft.input;
  if (fireTimeMs > nowMs) return waitUntil(draft, fireTimeMs);
  moveCursor(draft, fireTimeMs);
  if (dueMs > nowMs) return wait(draft, fireTimeMs, dueMs);
  if (!isBusy(draft) && draft.waiting.length === 0) {
    return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
  }
  if (schedule.policies.overlap === "SKIP") return skip(draft, fireTimeMs, "OVERLAP", "");
  if (draft.waiting.length >= schedule.policies.bufferRoom) return skip(draft, fireTimeMs, "BUFFER_FULL", "");
  waitForEnd(draft);
  return wait(draft, fireTimeMs, Number.POSITIVE_INFINITY, nowMs - dueMs > LATE_MS);
}

/** Tells whether an earlier fire time was deferred to the same opening. */
function isOpeningTaken(draft: Draft, openingMs: number): boolean {
  const earlier = draft.last === null ? draft.waiting : [...draft.waiting, draft.last];
  return earlier.some((fireTimeMs) => {
    const due = dueTimeOf(draft.input, fireTimeMs);
    return due.kind === "AT" && due.deferredBy !== null && due.atMs === openingMs;
  });
}

/**
 * Returns why a late fire time is missed; null if it is not late, or is caught up. `maxCatchup` keeps the latest ones:
 * a fire time at the cursor is missed when that many later ones are late too. `cursorMs` is null for one that waited.
 */
function misfireOf(draft: Draft, dueMs: number, cursorMs: number | null): SkipReason | null {
  const { nowMs, schedule } = draft.input;
  const { misfire, catchupWindowMs, maxCatchup } = schedule.policies;
  if (nowMs - dueMs <= LATE_MS) return null;
  if (nowMs - dueMs > catchupWindowMs) return "CATCHUP_WINDOW";
  if (misfire === "SKIP") return "MISFIRE_POLICY";
  const most = misfire === "FIRE_ALL" ? maxCatchup : 1;
  if (cursorMs === null || !draft.overdue.has(cursorMs, most, nowMs - LATE_MS - 1)) return null;
  return misfire === "FIRE_ALL" ? "CATCHUP_LIMIT" : "MISFIRE_POLICY";
}

function kindOf(draft: Draft, dueMs: number): TriggerKind {
  return draft.input.nowMs - dueMs > LATE_MS ? TriggerKind.CATCHUP : TriggerKind.SCHEDULED;
}

function decideSkip(draft: Draft, fireTimeMs: number, reason: SkipReason, detail: string): boolean {
  if (fireTimeMs > draft.input.nowMs) return waitUntil(draft, fireTimeMs);
  moveCursor(draft, fireTimeMs);
  draft.requested = draft.requested.filter((each) => each !== fireTimeMs);
  return skip(draft, fireTimeMs, reason, detail);
}
