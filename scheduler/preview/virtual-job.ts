import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { TriggerKind } from "../../gen/easycron/v1/trigger_pb.ts";
import type { TriggerEventInit } from "../job/chain.ts";
import type { TurnRow } from "../job/job.ts";
import type { SkipReason } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { type DueTime, dueTimeOf, type Turn, takeTurn } from "../turns/turn.ts";
import type { Position } from "../turns/turn-draft.ts";

/** A range of time in epoch milliseconds. The start is inclusive, the end exclusive. */
export interface Range {
  readonly startMs: number;
  readonly endMs: number;
}

/** A simulated fire time and its outcome. */
export interface PlayedFireTime {
  readonly atMs: number;
  /** Why it makes no trigger. Null when it makes one, or is not decided yet. */
  readonly reason: SkipReason | null;
  /** The calendar that is closed, if that is the reason; else empty. */
  readonly detail: string;
  /** Null when it makes no trigger. */
  readonly trigger: { readonly effectiveMs: number; readonly kind: TriggerKind; readonly seq: number } | null;
}

/** The state of a virtual job: what a real job keeps in its row. Times are epoch milliseconds. */
export interface VirtualJobState {
  readonly position: Position;
  /** Fire times of the job's present epoch are later than this. */
  readonly afterMs: number;
  /** When the job was last changed. Fire times up to `afterMs` that still wait are due no earlier than this. */
  readonly updateMs: number;
}

/** What a virtual job is made of. */
export interface VirtualJobInput {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  readonly state: VirtualJobState;
  /** When EasyCron does not run. In ascending order, without overlaps. Default: never. */
  readonly outages?: readonly Range[];
  /** How long each trigger is in flight, in milliseconds. Default: 0. */
  readonly durationMs?: number;
  /** How many catch-up triggers become due each second. Default: no limit. */
  readonly catchupPerSecond?: number;
}

/** The result of one turn of a virtual job. */
export interface Played {
  /** The fire times that the turn decided. */
  readonly decided: readonly PlayedFireTime[];
  /** When to take the next turn, which may be at once. Null when no turn is left. */
  readonly wakeMs: number | null;
  /** Whether the turn stopped at its limit, so that another one must be taken at the same instant. */
  readonly more: boolean;
}

/** A job with its own clock, without a database and without a dispatcher. */
export interface VirtualJob {
  /** Takes a turn at `nowMs`, with its own schedule or with the one given. `nowMs` must never decrease. */
  take(nowMs: number, by?: CompiledSchedule): Played;
  /** Replaces the job's state, and its schedule if one is given. */
  setState(state: VirtualJobState, schedule?: CompiledSchedule): void;
  /** Returns the job's state. */
  state(): VirtualJobState;
  /** Tells when a fire time is due, or which calendar skips it. */
  dueTimeOf(fireTimeMs: number): DueTime;
}

/** The most fire times that one turn decides: a few milliseconds of work. */
const TURN_LIMIT = 250;

interface Job {
  readonly gates: readonly CalendarGate[];
  readonly outages: readonly Range[];
  readonly durationMs: number;
  readonly catchupPerSecond: number;
  schedule: CompiledSchedule;
  state: VirtualJobState;
  /** When the last of the triggers made so far finishes. */
  busyUntilMs: number;
  /** When the next catch-up trigger may become due. */
  catchupSlotMs: number;
}

/**
 * Makes a job that takes the same turns as the scheduler (`turn.ts`). No code here decides a fire time.
 *
 * The caller keeps the clock, and takes no turn during an outage. A catch-up trigger that would become due during an
 * outage becomes due at its end.
 */
export function createVirtualJob(input: VirtualJobInput): VirtualJob {
  const { schedule, gates, state, outages = [], durationMs = 0 } = input;
  const { catchupPerSecond = Number.POSITIVE_INFINITY } = input;
  const never = Number.NEGATIVE_INFINITY;
  const clocks = { busyUntilMs: never, catchupSlotMs: never };
  const job: Job = { schedule, gates, state, outages, durationMs, catchupPerSecond, ...clocks };
  return {
    take: (nowMs, by = job.schedule) => take(job, nowMs, by),
    setState: (next, by = job.schedule) => {
      job.state = next;
      job.schedule = by;
    },
    state: () => job.state,
    dueTimeOf: (fireTimeMs) =>
      dueTimeOf({ row: rowOf(job.state), schedule: job.schedule, gates }, fireTimeMs),
  };
}

function take(job: Job, nowMs: number, schedule: CompiledSchedule): Played {
  const busy = job.busyUntilMs > nowMs;
  const turn = takeTurn({
    row: rowOf(job.state),
    schedule,
    gates: job.gates,
    handed: [],
    nowMs,
    lookAheadMs: 0,
    busy,
    limit: TURN_LIMIT,
    mostDecisions: TURN_LIMIT,
    zoneData: schedule.zoneData,
  });
  const decided = [...turn.events.map((event) => fire(job, event, nowMs)), ...skipped(turn, schedule)];
  // If the next turn extended this range of skips, the range would repeat fire times that are reported here.
  const carry = { ...turn.position.carry, run: null };
  job.state = { ...job.state, position: { ...turn.position, carry } };
  return { decided, wakeMs: wakeAfter(job, turn, nowMs, busy), more: turn.more };
}

function fire(job: Job, event: TriggerEventInit, nowMs: number): PlayedFireTime {
  const effectiveMs = effectiveTimeOf(job, event, nowMs);
  job.busyUntilMs = Math.max(job.busyUntilMs, effectiveMs + job.durationMs);
  const trigger = { effectiveMs, kind: event.kind, seq: event.seq };
  return { atMs: Number(event.nominalTimeMs), reason: null, detail: "", trigger };
}

function effectiveTimeOf(job: Job, { kind, effectiveTimeMs }: TriggerEventInit, nowMs: number): number {
  if (kind !== TriggerKind.CATCHUP) return Math.max(nowMs, Number(effectiveTimeMs));
  const slotMs = workingAt(job.outages, Math.max(job.catchupSlotMs, nowMs));
  job.catchupSlotMs = slotMs + 1_000 / job.catchupPerSecond;
  return Math.floor(slotMs);
}

function skipped(turn: Turn, schedule: CompiledSchedule): PlayedFireTime[] {
  return turn.skips.flatMap(({ firstMs, count, reason, detail }) =>
    [...timesFrom(schedule, firstMs, count)].map((atMs) => ({ atMs, reason, detail, trigger: null })),
  );
}

// The scheduler polls to learn whether the earlier trigger has finished. Here it is known when that happens.
function wakeAfter(job: Job, turn: Turn, nowMs: number, busy: boolean): number | null {
  const { nextFireTimeMs, carry } = turn.position;
  const buffered = job.schedule.policies.overlap === "BUFFER" && carry.waiting.length > 0;
  if (turn.more || !buffered || !(busy || turn.events.length > 0)) return turn.wakeMs;
  const idleMs = Math.max(nowMs, job.busyUntilMs);
  return nextFireTimeMs !== null && nextFireTimeMs > nowMs ? Math.min(idleMs, nextFireTimeMs) : idleMs;
}

/** Returns the first instant from `atMs` on that lies in no outage. */
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

function rowOf({ position, afterMs, updateMs }: VirtualJobState): TurnRow {
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
    disable_reason: null,
    pause_until: null,
    create_time: afterMs,
    update_time: updateMs,
  };
}
