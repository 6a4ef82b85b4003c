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

/** A trigger that is there, and that the job's row does not know of. */
export interface HandedOver {
  readonly fireTimeMs: number;
  readonly seq: number;
}

/** All that decides a turn. */
export interface TurnInput {
  readonly row: TurnRow;
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  readonly nowMs: number;
  /** How far ahead of its effective time a trigger is handed over. */
  readonly lookAheadMs: number;
  /** Whether a trigger of the job has not come to rest; looked at only if the job's overlap policy asks. */
  readonly busy: boolean;
  /** Triggers handed over by a turn whose commit was lost, ascending: this one decides the same again. */
  readonly handed: readonly HandedOver[];
  /** Most events. */
  readonly limit: number;
  /** Most fire times that it decides, if fewer than 20,000. */
  readonly mostDecisions?: number;
  /** The release of the zone database that the fire times are said to be computed by. */
  readonly zoneData: string;
}

/** Where a job stands. */
export interface Position {
  /** The first fire time that is not decided; null when there is none. */
  readonly nextFireTimeMs: number | null;
  /** The last one that made a trigger. */
  readonly lastFireTimeMs: number | null;
  /** Its place. */
  readonly lastSeq: number;
  readonly carry: Carry;
}

/** A turn that is being decided: what `takeTurn` works on. */
export interface Draft {
  readonly input: TurnInput;
  readonly overdue: Overdue;
  next: number | null;
  last: number | null;
  lastSeq: number;
  waiting: number[];
  late: readonly number[];
  requested: readonly number[];
  run: SkipRun | null;
  skipped: number;
  missed: number;
  readonly events: TriggerEventInit[];
  readonly skips: SkipRange[];
  lastEffectiveMs: number;
  endMs: number | null;
  wakeMs: number;
  decisions: number;
  more: boolean;
}

/** Where the row says that the job stands. */
export function positionOf(row: TurnRow): Position {
  return {
    nextFireTimeMs: row.next_fire_time,
    lastFireTimeMs: row.last_fire_time,
    lastSeq: row.last_seq,
    carry: readCarry(row.carry),
  };
}

/** Begins a turn where the row says that the job stands. */
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
    decisions: 0,
    more: false,
  };
}

/** Whether the job has fired as often as it may, counting those that wait: one of these may still be skipped. */
export function isSpent(draft: Draft): boolean {
  const { maxFires } = draft.input.schedule.policies;
  if (maxFires === 0 || draft.lastSeq + draft.waiting.length < maxFires) return false;
  if (draft.waiting.length === 0) {
    draft.next = null;
    draft.endMs = draft.last;
  }
  return true;
}

/** Whether the turn has met a limit; one more decision is counted. */
export function isFull(draft: Draft): boolean {
  const most = draft.input.mostDecisions ?? DECISIONS_LIMIT;
  if (draft.decisions < most && draft.events.length < draft.input.limit) {
    draft.decisions += 1;
    return false;
  }
  draft.more = true;
  return true;
}

/** Whether an earlier trigger of the job has not come to rest. */
export function isBusy(draft: Draft): boolean {
  return draft.input.busy || draft.events.length > 0;
}

/** The first trigger from a fire time on that was handed over before and not committed. */
export function handedFrom(draft: Draft, fireTimeMs: number): HandedOver | undefined {
  return draft.input.handed.find((each) => each.fireTimeMs >= fireTimeMs);
}

/** Notes when to look again, and that this one stays undecided. */
export function waitUntil(draft: Draft, wakeMs: number): false {
  draft.wakeMs = Math.min(draft.wakeMs, wakeMs);
  return false;
}

/** Moves the cursor past a fire time. */
export function moveCursor(draft: Draft, fireTimeMs: number): void {
  draft.next = draft.input.schedule.nextAfter(fireTimeMs);
}

/** Has a fire time wait for its moment; `late` if an outage has made it late already. */
export function wait(draft: Draft, fireTimeMs: number, wakeMs: number, late = false): true {
  draft.waiting.push(fireTimeMs);
  if (late) draft.late = [...draft.late, fireTimeMs];
  draft.run = null;
  waitUntil(draft, wakeMs);
  return true;
}

/** Records a fire time at the cursor as one without a trigger; neighbours of one reason share a range. */
export function skip(draft: Draft, fireTimeMs: number, reason: SkipReason, detail: string): true {
  count(draft, reason);
  const { run } = draft;
  const lengthens = run !== null && run.reason === reason && run.detail === detail;
  const firstMs = lengthens ? run.firstMs : fireTimeMs;
  const latest = draft.skips.at(-1);
  if (lengthens && latest?.firstMs === firstMs) {
    draft.skips[draft.skips.length - 1] = { ...latest, lastMs: fireTimeMs, count: latest.count + 1 };
  } else {
    draft.skips.push({ firstMs, lastMs: fireTimeMs, reason, count: 1, detail });
  }
  draft.run = { firstMs, reason, detail };
  return true;
}

/** As `skip` for one that waited: it may be older than the range being lengthened, so it stands by itself. */
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

/** Makes a fire time the next link of the chain. */
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
