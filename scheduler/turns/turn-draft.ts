import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import { type Carry, readCarry, type SkipRun } from "../job/carry.ts";
import { scheduledEvent, type TriggerEventInit } from "../job/chain.ts";
import type { TurnRow } from "../job/job.ts";
import { type SkipRange, type SkipReason, verdictOf } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Overdue } from "../schedules/overdue.ts";

/** Most fire times of one job that one turn decides. */
const DECISIONS_LIMIT = 20_000;

/** A trigger that the dispatcher has and the job's row does not know of, because the commit of its turn was lost. */
export interface HandedOver {
  readonly fireTimeMs: number;
  readonly seq: number;
}

/** All input of a turn. */
export interface TurnInput {
  readonly row: TurnRow;
  readonly schedule: CompiledSchedule;
  /** The job's calendars in the versions in effect. */
  readonly gates: readonly CalendarGate[];
  /** Epoch milliseconds. */
  readonly nowMs: number;
  /** How long before its effective time a trigger is handed over at the latest. */
  readonly lookAheadMs: number;
  /** Up to which effective time triggers are handed over. At least `nowMs` + `lookAheadMs`, which is the default. */
  readonly horizonMs?: number;
  /** Whether the job has an unfinished trigger. Used only if the job has an overlap policy. */
  readonly busy: boolean;
  /** Triggers that a turn handed over whose commit was lost, by fire time. This turn decides the same again. */
  readonly handed: readonly HandedOver[];
  /** Most events that it makes. */
  readonly limit: number;
  /** Most fire times that it decides; by default 20,000. */
  readonly mostDecisions?: number;
  /** The zone data version that the events name. */
  readonly zoneData: string;
}

/** Where a job is in its sequence of fire times. */
export interface Position {
  /** The cursor: the first undecided fire time; null when there is none. */
  readonly nextFireTimeMs: number | null;
  /** The last fire time that made a trigger; null when none has. */
  readonly lastFireTimeMs: number | null;
  /** The sequence number of that trigger; 0 when there is none. */
  readonly lastSeq: number;
  readonly carry: Carry;
}

/** A turn in the making: the mutable state that `takeTurn` works on. Times are epoch milliseconds. */
export interface Draft {
  readonly input: TurnInput;
  readonly overdue: Overdue;
  /** The cursor: the first undecided fire time; null when there is none. */
  next: number | null;
  /** The last fire time that made a trigger. */
  last: number | null;
  lastSeq: number;
  /** The next six are those of `Carry`. */
  waiting: number[];
  late: readonly number[];
  requested: readonly number[];
  run: SkipRun | null;
  skipped: number;
  missed: number;
  readonly events: TriggerEventInit[];
  readonly skips: SkipRange[];
  /** The effective time of the last event; -Infinity while there is none. */
  lastEffectiveMs: number;
  /** The last fire time of the job, once it has fired `maxFires` times. */
  endMs: number | null;
  /** When the next turn is due; Infinity while nothing asks for one. */
  wakeMs: number;
  /** Whether a fire time waits for the end of an earlier trigger. */
  waitsForEnd: boolean;
  /** How many fire times were looked at. */
  decisions: number;
  /** Whether a limit ended the turn while more was due. */
  more: boolean;
}

/** Reads a job's position from its row. */
export function positionOf(row: TurnRow): Position {
  return {
    nextFireTimeMs: row.next_fire_time,
    lastFireTimeMs: row.last_fire_time,
    lastSeq: row.last_seq,
    carry: readCarry(row.carry),
  };
}

/** Begins a turn at the position that the row holds. */
export function startDraft(input: TurnInput, overdue: Overdue): Draft {
  const { nextFireTimeMs, lastFireTimeMs, lastSeq, carry } = positionOf(input.row);
  return {
    input,
    overdue,
    next: nextFireTimeMs,
    last: lastFireTimeMs,
    lastSeq,
    ...carry,
    waiting: [...carry.waiting],
    events: [],
    skips: [],
    lastEffectiveMs: Number.NEGATIVE_INFINITY,
    endMs: null,
    wakeMs: Number.POSITIVE_INFINITY,
    waitsForEnd: false,
    decisions: 0,
    more: false,
  };
}

/**
 * Tells whether the job has used up `maxFires`, counting the fire times that wait. Without any that wait it also ends
 * the job here: one that waits may still be skipped, and then one more may fire.
 */
export function isSpent(draft: Draft): boolean {
  const { maxFires } = draft.input.schedule.policies;
  if (maxFires === 0 || draft.lastSeq + draft.waiting.length < maxFires) return false;
  if (draft.waiting.length === 0) {
    draft.next = null;
    draft.endMs = draft.last;
  }
  return true;
}

/** Returns up to which effective time a turn hands triggers over, in epoch milliseconds. */
export function horizonOfTurn({ nowMs, lookAheadMs, horizonMs }: TurnInput): number {
  return horizonMs ?? nowMs + lookAheadMs;
}

/** Counts one more decision. Returns true, and counts nothing, when the turn has reached a limit. */
export function isFull(draft: Draft): boolean {
  const most = draft.input.mostDecisions ?? DECISIONS_LIMIT;
  if (draft.decisions < most && draft.events.length < draft.input.limit) {
    draft.decisions += 1;
    return false;
  }
  draft.more = true;
  return true;
}

/** Tells whether an earlier trigger of the job is unfinished. */
export function isBusy(draft: Draft): boolean {
  return draft.input.busy || draft.events.length > 0;
}

/** Finds the first trigger at `fireTimeMs` or later that a turn handed over whose commit was lost. */
export function handedFrom(draft: Draft, fireTimeMs: number): HandedOver | undefined {
  return draft.input.handed.find((each) => each.fireTimeMs >= fireTimeMs);
}

/** Asks for the next turn at `wakeMs` at the latest. Returns false: the fire time stays undecided. */
export function waitUntil(draft: Draft, wakeMs: number): false {
  draft.wakeMs = Math.min(draft.wakeMs, wakeMs);
  return false;
}

/** How often a job that waits for an earlier trigger's end looks for it all the same, in case the event was lost. */
const RECHECK_MS = 30_000;

/**
 * Asks for the next turn when an earlier trigger has ended. The dispatcher then wakes the job. Returns false: the fire
 * time stays undecided.
 */
export function waitForEnd(draft: Draft): false {
  draft.waitsForEnd = true;
  return waitUntil(draft, draft.input.nowMs + RECHECK_MS);
}

/** Moves the cursor past a fire time. */
export function moveCursor(draft: Draft, fireTimeMs: number): void {
  draft.next = draft.input.schedule.nextAfter(fireTimeMs);
}

/** Lets a fire time wait until `wakeMs` at least. `late`: an outage has already made it late. */
export function wait(draft: Draft, fireTimeMs: number, wakeMs: number, late = false): true {
  draft.waiting.push(fireTimeMs);
  if (late) draft.late = [...draft.late, fireTimeMs];
  draft.run = null;
  waitUntil(draft, wakeMs);
  return true;
}

/** Records that the fire time at the cursor makes no trigger. Consecutive ones with the same reason share a range. */
export function skip(draft: Draft, fireTimeMs: number, reason: SkipReason, detail: string): true {
  count(draft, reason);
  const { run } = draft;
  const extendsRun = run !== null && run.reason === reason && run.detail === detail;
  const firstMs = extendsRun ? run.firstMs : fireTimeMs;
  const latest = draft.skips.at(-1);
  if (extendsRun && latest?.firstMs === firstMs) {
    draft.skips[draft.skips.length - 1] = { ...latest, lastMs: fireTimeMs, count: latest.count + 1 };
  } else {
    draft.skips.push({ firstMs, lastMs: fireTimeMs, reason, count: 1, detail });
  }
  draft.run = { firstMs, reason, detail };
  return true;
}

/** Like `skip`, for a fire time that waited. It gets a range of its own, as it may be older than the current range. */
export function skipWaiting(draft: Draft, fireTimeMs: number, reason: SkipReason, detail: string): true {
  count(draft, reason);
  draft.waiting.splice(draft.waiting.indexOf(fireTimeMs), 1);
  draft.run = null;
  draft.skips.push({ firstMs: fireTimeMs, lastMs: fireTimeMs, reason, count: 1, detail });
  return true;
}

function count(draft: Draft, reason: SkipReason): void {
  if (verdictOf(reason) === "MISSED") draft.missed += 1;
  else draft.skipped += 1;
}

/** Makes a trigger event of a fire time: the next link of the job's chain. */
export function fire(draft: Draft, fireTimeMs: number, effectiveMs: number, kind: TriggerKind): true {
  const { row, schedule } = draft.input;
  const { maxFires } = schedule.policies;
  draft.lastSeq += 1;
  draft.events.push(
    scheduledEvent(row, {
      fireTimeMs,
      effectiveMs,
      kind,
      seq: draft.lastSeq,
      previousMs: draft.last,
      nextMs: maxFires > 0 && draft.lastSeq >= maxFires ? null : schedule.nextAfter(fireTimeMs),
      skipped: draft.skipped,
      missed: draft.missed,
      zoneData: draft.input.zoneData,
    }),
  );
  draft.last = fireTimeMs;
  draft.lastEffectiveMs = effectiveMs;
  draft.skipped = 0;
  draft.missed = 0;
  draft.run = null;
  return true;
}
