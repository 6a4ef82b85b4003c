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
  waitUntil,
} from "./turn-draft.ts";

/** Later than this after its effective time, a fire time counts as missed by us. */
export const LATE_MS = 10_000;
/** How often a job whose fire time waits for an earlier trigger looks whether that has come to rest. */
const RECHECK_MS = 100;

/** What a turn decided. */
export interface Turn {
  readonly events: readonly TriggerEventInit[];
  readonly skips: readonly SkipRange[];
  readonly position: Position;
  /** The last fire time that exists, once the job has fired as often as it may. */
  readonly endMs: number | null;
  /** No fire time is left. */
  readonly finished: boolean;
  /** When to take the next turn; null when there is none to take. */
  readonly wakeMs: number | null;
  /** The limit was met: more is due at once. */
  readonly more: boolean;
  /** How many fire times were looked at. */
  readonly decisions: number;
}

/**
 * One turn of an active job: decides its fire times in order, each computed from the one before and never from the
 * clock, so that none is passed over however late this runs. A pure function: the tick, a change and a simulation are
 * the same code.
 *
 * 1. Fire times that wait are handed over when their effective time comes within the look-ahead, or, with an overlap
 *    policy, when it has come and no earlier trigger is left.
 * 2. The cursor decides fire time after fire time. One that makes no trigger is decided when it has come, not ahead:
 *    so a change never finds a skip that is later than itself. One that does is handed over within the look-ahead,
 *    or waits.
 * 3. What remains tells when to take the next turn.
 */
export function takeTurn(input: TurnInput): Turn {
  const overdue = createOverdue(input.schedule, (atMs) => {
    const place = placeOf(input, atMs);
    return place.kind === "SKIP" ? null : place.atMs;
  });
  const draft = startDraft(input, overdue);
  while (releaseWaiting(draft));
  while (decideNext(draft));
  return finish(draft);
}

function finish(draft: Draft): Turn {
  const { next: nextFireTimeMs, last: lastFireTimeMs, lastSeq, waiting, run } = draft;
  const { skipped, missed, events, skips, endMs, more } = draft;
  const { nowMs, schedule } = draft.input;
  const over = nextFireTimeMs === null && waiting.length === 0 && schedule.plan.schedules.length > 0;
  // The last trigger may lie ahead: the job is finished when that has come.
  const finished = over && draft.lastEffectiveMs <= nowMs;
  // What an outage has left is worked off behind what is on time: as late as it was (tick.ts).
  const moreMs = Math.min(nowMs, draft.input.row.wake_time ?? nowMs);
  const wakeMs = more ? moreMs : over ? draft.lastEffectiveMs : draft.wakeMs;
  const cursorMs = nextFireTimeMs ?? Number.POSITIVE_INFINITY;
  // A request for an instant that an edit has left without a fire time is forgotten when the cursor has passed it.
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
    more,
    decisions: draft.decisions,
  };
}

/** When a fire time is to be delivered, or which calendar skips it. */
export type Place =
  | { readonly kind: "SKIP"; readonly calendar: string }
  | { readonly kind: "AT"; readonly atMs: number; readonly deferredBy: string | null };

/**
 * When a fire time is to be delivered: at the opening that a calendar defers it to, or after its place in the flexible
 * window, which ends where a calendar closes. One that was waiting when the job changed is due no earlier than the change.
 */
export function placeOf(
  {
    row,
    schedule,
    gates,
  }: Pick<TurnInput, "schedule" | "gates"> & {
    readonly row: Pick<TurnInput["row"], "after_time" | "update_time">;
  },
  fireTimeMs: number,
): Place {
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

/** Decides the first fire time that waits; false when it goes on waiting. */
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
  const place = placeOf(draft.input, fireTimeMs);
  // It may wait for its delay before it has come; a change would decide it once more.
  if ((requested || place.kind === "SKIP") && fireTimeMs > nowMs) return waitUntil(draft, fireTimeMs);
  if (requested) return skipWaiting(draft, fireTimeMs, "SKIPPED_BY_REQUEST", "");
  if (place.kind === "SKIP") return skipWaiting(draft, fireTimeMs, "OUTSIDE_CALENDAR", place.calendar);
  const aheadMs = overlap === "ALLOW_ALL" ? lookAheadMs : 0;
  if (place.atMs > nowMs + aheadMs) return waitUntil(draft, place.atMs - aheadMs);
  if (overlap === "BUFFER" && isBusy(draft))
    return skipOverflow(draft) || waitUntil(draft, nowMs + RECHECK_MS);
  if (overlap === "SKIP" && isBusy(draft)) return skipWaiting(draft, fireTimeMs, "OVERLAP", "");
  // How long it waited for an earlier trigger is not our lateness.
  // Nor is how long it waited for an opening that came to be earlier: until now nobody was to look at it.
  const dueMs = Math.max(place.atMs, Math.min(nowMs, row.wake_time ?? place.atMs));
  const missed = overlap === "BUFFER" ? null : misfireOf(draft, dueMs, null);
  if (missed !== null) return skipWaiting(draft, fireTimeMs, missed, "");
  draft.waiting.shift();
  if (overlap !== "BUFFER") return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
  const kind = draft.late.includes(fireTimeMs) ? TriggerKind.CATCHUP : TriggerKind.SCHEDULED;
  return fire(draft, fireTimeMs, Math.max(place.atMs, nowMs), kind);
}

/**
 * Skips one that has become due and finds no room: as many wait for the earlier trigger as may. Those whose delay or
 * opening is still to come wait for that, and take no room.
 */
function skipOverflow(draft: Draft): boolean {
  const { nowMs, schedule } = draft.input;
  const { bufferRoom } = schedule.policies;
  if (draft.waiting.length <= bufferRoom) return false;
  const due = draft.waiting.filter((each) => {
    const place = placeOf(draft.input, each);
    return place.kind === "AT" && place.atMs <= nowMs;
  });
  const overflowing = due[bufferRoom];
  return overflowing !== undefined && skipWaiting(draft, overflowing, "BUFFER_FULL", "");
}

/** Decides the fire time at the cursor and moves it; false when it cannot be decided yet, or there is none. */
function decideNext(draft: Draft): boolean {
  const fireTimeMs = draft.next;
  if (fireTimeMs === null || isSpent(draft) || isFull(draft)) return false;
  const handed = handedFrom(draft, fireTimeMs);
  if (handed?.fireTimeMs === fireTimeMs) return fireAgain(draft, fireTimeMs);
  if (draft.requested.includes(fireTimeMs)) {
    return decideSkip(draft, fireTimeMs, "SKIPPED_BY_REQUEST", "");
  }
  const place = placeOf(draft.input, fireTimeMs);
  if (place.kind === "SKIP") return decideSkip(draft, fireTimeMs, "OUTSIDE_CALENDAR", place.calendar);
  if (place.deferredBy !== null && isTaken(draft, place.atMs)) {
    return decideSkip(draft, fireTimeMs, "OUTSIDE_CALENDAR", place.deferredBy);
  }
  if (handed !== undefined && draft.lastSeq + 1 < handed.seq) return fireAgain(draft, fireTimeMs);
  const missed = misfireOf(draft, place.atMs, fireTimeMs);
  if (missed !== null) return decideSkip(draft, fireTimeMs, missed, "");
  return draft.input.schedule.policies.overlap === "ALLOW_ALL"
    ? decideAhead(draft, fireTimeMs, place.atMs)
    : decideAtOnce(draft, fireTimeMs, place.atMs);
}

/**
 * Decides again what a turn whose commit was lost had decided: whatever the clock says by now, a fire time that has
 * its trigger fires, and one before it does if the chain has a place for it. The dispatcher knows those it has.
 */
function fireAgain(draft: Draft, fireTimeMs: number): true {
  moveCursor(draft, fireTimeMs);
  const place = placeOf(draft.input, fireTimeMs);
  const dueMs = place.kind === "SKIP" ? fireTimeMs : place.atMs;
  return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
}

/** Without an overlap policy a trigger is handed over ahead of its effective time. */
function decideAhead(draft: Draft, fireTimeMs: number, dueMs: number): boolean {
  const { nowMs, lookAheadMs } = draft.input;
  if (dueMs <= nowMs + lookAheadMs) {
    moveCursor(draft, fireTimeMs);
    return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
  }
  if (fireTimeMs > nowMs + lookAheadMs) return waitUntil(draft, fireTimeMs - lookAheadMs);
  moveCursor(draft, fireTimeMs);
  return wait(draft, fireTimeMs, dueMs - lookAheadMs);
}

/**
 * With one, whether an earlier trigger is still there is asked when the time has come, and not before: under the lock
 * of the job's row, so that no other scheduler, and no change, decides it as well.
 */
function decideAtOnce(draft: Draft, fireTimeMs: number, dueMs: number): boolean {
  const { nowMs, schedule } = draft.input;
  if (fireTimeMs > nowMs) return waitUntil(draft, fireTimeMs);
  moveCursor(draft, fireTimeMs);
  if (dueMs > nowMs) return wait(draft, fireTimeMs, dueMs);
  if (!isBusy(draft) && draft.waiting.length === 0) {
    return fire(draft, fireTimeMs, dueMs, kindOf(draft, dueMs));
  }
  if (schedule.policies.overlap === "SKIP") return skip(draft, fireTimeMs, "OVERLAP", "");
  if (draft.waiting.length >= schedule.policies.bufferRoom) return skip(draft, fireTimeMs, "BUFFER_FULL", "");
  return wait(draft, fireTimeMs, nowMs + RECHECK_MS, nowMs - dueMs > LATE_MS);
}

/** Whether an earlier fire time was deferred to the same opening. */
function isTaken(draft: Draft, openingMs: number): boolean {
  const earlier = draft.last === null ? draft.waiting : [...draft.waiting, draft.last];
  return earlier.some((fireTimeMs) => {
    const place = placeOf(draft.input, fireTimeMs);
    return place.kind === "AT" && place.deferredBy !== null && place.atMs === openingMs;
  });
}

/**
 * Why an overdue fire time is not made up for; null if it is, or is not overdue. The latest ones are made up for: one
 * at the cursor is left out when enough later ones are overdue too.
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
