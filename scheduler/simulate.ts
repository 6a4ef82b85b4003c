import type { CalendarGate } from "../cron/calendar-gate.ts";
import { TriggerKind } from "../gen/easycron/v1/trigger_pb.ts";
import { type Carry, NO_CARRY } from "./carry.ts";
import type { CompiledSchedule } from "./compiled-schedule.ts";
import type { TurnRow } from "./job.ts";
import { type Turn, takeTurn } from "./turn.ts";
import type { Position } from "./turn-draft.ts";
import type { SkipReason } from "./verdict.ts";

/** A stretch of time, its end exclusive. Epoch milliseconds. */
export interface Range {
  readonly startMs: number;
  readonly endMs: number;
}

/** What is assumed. */
export interface Assumptions {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  /** Fire times are later than this. */
  readonly startMs: number;
  /** Played up to here, inclusive. */
  readonly endMs: number;
  /** Ascending and apart. */
  readonly outages: readonly Range[];
  readonly pauses: readonly Range[];
  /** How long a trigger needs until it comes to rest. */
  readonly durationMs: number;
  /** How many triggers are made up for in a second. */
  readonly catchupPerSecond: number;
}

/** A fire time and what would become of it. */
export interface SimulatedFireTime {
  readonly atMs: number;
  /** Null when it makes a trigger, or still waits. */
  readonly reason: SkipReason | null;
  readonly detail: string;
  /** Null without a trigger. */
  readonly trigger: { readonly effectiveMs: number; readonly kind: TriggerKind; readonly seq: number } | null;
}

/** Most fire times of one simulation. */
export const SIMULATED_LIMIT = 10_000;
const TURNS_LIMIT = 200_000;

/**
 * Plays a job through time by the turns that the scheduler takes, with a clock of its own: it stands still during an
 * outage, and a pause is the change that it is. Stops early, and says where, at 10,000 fire times.
 */
export function simulate(given: Assumptions): { fireTimes: SimulatedFireTime[]; untilMs: number } {
  const { schedule, startMs, endMs } = given;
  const fires = new Map<number, SimulatedFireTime>();
  let position: Position = {
    nextFireTimeMs: schedule.nextAfter(startMs),
    lastFireTimeMs: null,
    lastSeq: 0,
    carry: NO_CARRY,
  };
  let afterMs = startMs;
  let busyUntilMs = Number.NEGATIVE_INFINITY;
  let slotMs = startMs;
  const play = (nowMs: number): Turn => {
    const row = rowAt(position, afterMs);
    const busy = busyUntilMs > nowMs;
    const turn = takeTurn({
      row,
      schedule,
      gates: given.gates,
      handed: [],
      nowMs,
      lookAheadMs: 0,
      busy,
      limit: 1_000,
      zoneData: schedule.zoneData,
    });
    for (const { nominalTimeMs, effectiveTimeMs, kind, seq } of turn.events) {
      slotMs = Math.max(slotMs, nowMs);
      const effectiveMs = kind === TriggerKind.CATCHUP ? Math.floor(slotMs) : Number(effectiveTimeMs);
      if (kind === TriggerKind.CATCHUP) slotMs += 1_000 / given.catchupPerSecond;
      busyUntilMs = Math.max(busyUntilMs, effectiveMs + given.durationMs);
      const atMs = Number(nominalTimeMs);
      fires.set(atMs, { atMs, reason: null, detail: "", trigger: { effectiveMs, kind, seq } });
    }
    for (const { firstMs, lastMs, reason, detail } of turn.skips) {
      for (const atMs of timesOf(schedule, firstMs, lastMs)) {
        if (!fires.has(atMs)) fires.set(atMs, { atMs, reason, detail, trigger: null });
      }
    }
    position = turn.position;
    return turn;
  };
  const pause = ({ startMs: fromMs, endMs: toMs }: Range): void => {
    while (play(fromMs).more);
    const skipped = [...position.carry.waiting, ...timesOf(schedule, fromMs + 1, Math.min(toMs - 1, endMs))];
    for (const atMs of skipped) fires.set(atMs, { atMs, reason: "PAUSED", detail: "", trigger: null });
    afterMs = toMs - 1;
    const carry: Carry = { ...NO_CARRY, skipped: position.carry.skipped + skipped.length };
    position = { ...position, nextFireTimeMs: schedule.nextAfter(afterMs), carry };
  };
  const pauses = [...given.pauses];
  let nowMs = startMs;
  let wakeMs: number | null = startMs;
  for (let turns = 0; wakeMs !== null || pauses.length > 0; turns++) {
    const [next] = pauses;
    if (next !== undefined && next.startMs <= (wakeMs ?? Number.POSITIVE_INFINITY)) {
      pauses.shift();
      if (next.startMs > endMs) continue;
      pause(next);
      nowMs = next.endMs;
    } else {
      nowMs = workingAt(given.outages, Math.max(nowMs, wakeMs ?? nowMs));
    }
    if (nowMs > endMs || fires.size >= SIMULATED_LIMIT || turns === TURNS_LIMIT) break;
    const turn = play(nowMs);
    wakeMs = turn.finished ? null : turn.wakeMs;
  }
  for (const atMs of position.carry.waiting) {
    fires.set(atMs, { atMs, reason: null, detail: "", trigger: null });
  }
  return cut([...fires.values()], Math.min(nowMs - 1, endMs), wakeMs === null ? endMs : nowMs, endMs);
}

// What was played last may be a part of one turn: fire times from the first left out on are left out.
function cut(
  fires: SimulatedFireTime[],
  playedMs: number,
  reachedMs: number,
  endMs: number,
): { fireTimes: SimulatedFireTime[]; untilMs: number } {
  const sorted = fires.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
  const left = sorted[SIMULATED_LIMIT];
  const untilMs = left !== undefined ? left.atMs - 1 : reachedMs >= endMs ? endMs : playedMs;
  return { fireTimes: sorted.slice(0, SIMULATED_LIMIT).filter(({ atMs }) => atMs <= untilMs), untilMs };
}

/** The first instant from `atMs` on at which EasyCron works. */
function workingAt(outages: readonly Range[], atMs: number): number {
  const within = outages.find(({ startMs, endMs }) => startMs <= atMs && atMs < endMs);
  return within === undefined ? atMs : within.endMs;
}

function* timesOf(schedule: CompiledSchedule, firstMs: number, lastMs: number): Generator<number> {
  let count = 0;
  let atMs = schedule.nextAfter(firstMs - 1);
  while (atMs !== null && atMs <= lastMs && count <= SIMULATED_LIMIT) {
    yield atMs;
    count += 1;
    atMs = schedule.nextAfter(atMs);
  }
}

function rowAt(position: Position, afterMs: number): TurnRow {
  return {
    uid: "job_simulated",
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
    update_time: afterMs,
  };
}
