import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { TurnRow } from "../job/job.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { type Place, placeOf, type Turn, takeTurn } from "../turns/turn.ts";
import type { Position } from "../turns/turn-draft.ts";

/** A stretch of time, its end exclusive. Epoch milliseconds. */
export interface Range {
  readonly startMs: number;
  readonly endMs: number;
}

/** A fire time and what would become of it. */
export interface PlayedFireTime {
  readonly atMs: number;
  /** Null when it makes a trigger, or still waits. */
  readonly reason: SkipReason | null;
  readonly detail: string;
  /** Null without a trigger. */
  readonly trigger: { readonly effectiveMs: number; readonly kind: TriggerKind; readonly seq: number } | null;
}

/** Where a job stands when it begins to be played. */
export interface Standing {
  readonly position: Position;
  /** As in the job's row: its fire times are later than this, and what waits from before is due no earlier than that. */
  readonly afterMs: number;
  readonly updateMs: number;
}

/** What a job is played with. */
export interface VirtualJobInput {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  readonly standing: Standing;
  /** When EasyCron does not work; ascending and apart. */
  readonly outages?: readonly Range[];
  /** How long a trigger needs until it comes to rest. Default 0. */
  readonly durationMs?: number;
  /** How many triggers are made up for in a second. Default: as many as there are. */
  readonly catchupPerSecond?: number;
}

/** What a turn of a virtual job came to. */
export interface Played {
  readonly decided: readonly PlayedFireTime[];
  /** When to take the next turn, possibly at once; null when there is none to take. */
  readonly wakeMs: number | null;
  /** The turn met its limit: it is to be gone on with. */
  readonly more: boolean;
}

/** A job on a clock of its own, without database and dispatcher. */
export interface VirtualJob {
  /** Takes a turn, by another schedule than its own if one is given. `nowMs` never goes back. */
  take(nowMs: number, by?: CompiledSchedule): Played;
  /** Goes on from another standing, and by another schedule if one is given. */
  goOn(standing: Standing, by?: CompiledSchedule): void;
  standing(): Standing;
  /** When a fire time is to be delivered. */
  placeOf(fireTimeMs: number): Place;
}

/** Most fire times that one turn decides: some milliseconds of work. */
const TURN_LIMIT = 250;

/**
 * Makes a job that is played by the turns that the scheduler takes (`turn.ts`): nothing here decides what becomes of a
 * fire time. The clock is the caller's; that it does not work during an outage is the caller's care, too. Here a
 * trigger that would be due in one becomes due at its end.
 */
export function createVirtualJob(given: VirtualJobInput): VirtualJob {
  const { gates, outages = [], durationMs = 0, catchupPerSecond = Number.POSITIVE_INFINITY } = given;
  let { schedule, standing } = given;
  let busyUntilMs = Number.NEGATIVE_INFINITY;
  let slotMs = Number.NEGATIVE_INFINITY;

  const effectiveOf = ({ kind, effectiveTimeMs }: TriggerEventInit, nowMs: number): number => {
    if (kind !== TriggerKind.CATCHUP) return Math.max(nowMs, Number(effectiveTimeMs));
    slotMs = workingAt(outages, Math.max(slotMs, nowMs));
    const effectiveMs = Math.floor(slotMs);
    slotMs += 1_000 / catchupPerSecond;
    return effectiveMs;
  };

  const take = (nowMs: number, by = schedule): Played => {
    const busy = busyUntilMs > nowMs;
    const turn = takeTurn({
      row: rowAt(standing),
      schedule: by,
      gates,
      handed: [],
      nowMs,
      lookAheadMs: 0,
      busy,
      limit: TURN_LIMIT,
      mostDecisions: TURN_LIMIT,
      zoneData: by.zoneData,
    });
    const decided: PlayedFireTime[] = [];
    for (const event of turn.events) {
      const effectiveMs = effectiveOf(event, nowMs);
      busyUntilMs = Math.max(busyUntilMs, effectiveMs + durationMs);
      const trigger = { effectiveMs, kind: event.kind, seq: event.seq };
      decided.push({ atMs: Number(event.nominalTimeMs), reason: null, detail: "", trigger });
    }
    for (const { firstMs, count, reason, detail } of turn.skips) {
      for (const atMs of timesFrom(by, firstMs, count)) decided.push({ atMs, reason, detail, trigger: null });
    }
    // A range of skips that the next turn lengthened would begin with fire times that are told already.
    const carry = { ...turn.position.carry, run: null };
    standing = { ...standing, position: { ...turn.position, carry } };
    return { decided, wakeMs: wakeAfter(turn, nowMs, busy), more: turn.more };
  };

  // The scheduler asks every now and then whether the earlier trigger has come to rest; here it is known when it will.
  const wakeAfter = (turn: Turn, nowMs: number, busy: boolean): number | null => {
    const { nextFireTimeMs, carry } = turn.position;
    const buffered = schedule.policies.overlap === "BUFFER" && carry.waiting.length > 0;
    if (turn.more || !buffered || !(busy || turn.events.length > 0)) return turn.wakeMs;
    const restMs = Math.max(nowMs, busyUntilMs);
    return nextFireTimeMs !== null && nextFireTimeMs > nowMs ? Math.min(restMs, nextFireTimeMs) : restMs;
  };

  return {
    take,
    goOn: (from, by = schedule) => {
      standing = from;
      schedule = by;
    },
    standing: () => standing,
    placeOf: (fireTimeMs) => placeOf({ row: rowAt(standing), schedule, gates }, fireTimeMs),
  };
}

/** The first instant from `atMs` on at which EasyCron works. */
export function workingAt(outages: readonly Range[], atMs: number): number {
  let workingMs = atMs;
  for (const { startMs, endMs } of outages) {
    if (startMs <= workingMs && workingMs < endMs) workingMs = endMs;
  }
  return workingMs;
}

function* timesFrom(schedule: CompiledSchedule, firstMs: number, count: number): Generator<number> {
  let atMs: number | null = firstMs;
  for (let left = count; left > 0 && atMs !== null; left--) {
    yield atMs;
    atMs = schedule.nextAfter(atMs);
  }
}

function rowAt({ position, afterMs, updateMs }: Standing): TurnRow {
  return {
    uid: "job_virtual",
    project_id: "",
    name: "",
    state: "ACTIVE",
    revision: 1,
    epoch: 1,
    next_fire_time: position.nextFireTimeMs,
    last_fire_time: position.lastFireTimeMs,
    last_seq: position.lastSeq,
    wake_time: null,
    after_time: afterMs,
    carry: position.carry,
    pause_note: "",
    pause_until: null,
    create_time: afterMs,
    update_time: updateMs,
  };
}
