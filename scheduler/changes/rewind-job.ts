import { isHalted, type JobRow, stateAt } from "../job/job.ts";
import type { WithdrawnRow } from "../job/jobs.sql.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { countFireTimes } from "../schedules/count-fire-times.ts";
import type { Position } from "../turns/turn-draft.ts";

/** What is known about the decided fire times of a job once its triggers are withdrawn. */
export interface KnownTimes {
  /** The triggers that were withdrawn. */
  readonly removed: readonly WithdrawnRow[];
  /** The last trigger after the change that stays. */
  readonly kept: WithdrawnRow | undefined;
  /** The last fire time that was skipped or missed. */
  readonly lastSkipMs: number | undefined;
}

/** Where a job is in its sequence of fire times once triggers are withdrawn. */
export interface RewoundJob {
  /** The end of the chain, and the carry. Its cursor is out of date. */
  readonly position: Position;
  /** Up to when the fire times are decided, in epoch milliseconds: the time of the change or later. */
  readonly afterMs: number;
}

/**
 * Rewinds the chain of a job whose triggers are withdrawn for a change at `changeTimeMs`, in epoch milliseconds. Without
 * a schedule, because it cannot be compiled, the fire times of a pause are not counted.
 */
export function rewindJob(
  row: JobRow,
  schedule: CompiledSchedule | undefined,
  changeTimeMs: number,
  decided: Position,
  { removed, kept, lastSkipMs }: KnownTimes,
): RewoundJob {
  const lastMs = kept?.fire_time ?? (removed[0] === undefined ? decided.lastFireTimeMs : null);
  const afterMs = decidedUntil(row, changeTimeMs, lastMs, lastSkipMs);
  const position = rewind(decided, removed, kept, afterMs);
  const paused = schedule === undefined ? 0 : countPaused(row, schedule, afterMs);
  const carry = { ...position.carry, skipped: Math.max(0, position.carry.skipped + paused) };
  return { position: { ...position, carry }, afterMs };
}

/**
 * Returns up to when the fire times of a locked job are decided, in epoch milliseconds: `changeTimeMs` or later. An
 * epoch that began before a decided fire time would decide it again, so that it would be skipped and fire too.
 * `lastMs` is the last fire time whose trigger stays. In a pause that the tick has ended ahead of time, the epoch of
 * the row lies ahead, and nothing in it is decided.
 */
function decidedUntil(
  row: JobRow,
  changeTimeMs: number,
  lastMs: number | null,
  lastSkipMs: number | undefined,
): number {
  const isAhead = stateAt(row, changeTimeMs) !== row.state;
  const begunMs = isAhead ? changeTimeMs : row.after_time;
  return Math.max(changeTimeMs, begunMs, lastMs ?? changeTimeMs, lastSkipMs ?? changeTimeMs);
}

function rewind(
  decided: Position,
  removed: readonly WithdrawnRow[],
  kept: WithdrawnRow | undefined,
  afterMs: number,
): Position {
  const times = new Set([...decided.carry.waiting, ...removed.map((each) => each.fire_time)]);
  const waiting = [...times].filter((each) => each <= afterMs).sort((a, b) => a - b);
  const { late } = decided.carry;
  const requested = decided.carry.requested.filter((each) => each > afterMs || waiting.includes(each));
  const [first] = removed;
  // If the turn that handed over the last of them never committed, its counts already include those of the row.
  const lastSeq = removed.at(-1)?.seq ?? kept?.seq ?? 0;
  const counted = lastSeq > decided.lastSeq;
  const carry = {
    waiting,
    late,
    requested,
    run: null,
    skipped: removed.reduce((sum, each) => sum + each.previous_skipped, counted ? 0 : decided.carry.skipped),
    missed: removed.reduce((sum, each) => sum + each.previous_missed, counted ? 0 : decided.carry.missed),
  };
  if (kept !== undefined) {
    return { nextFireTimeMs: null, lastFireTimeMs: kept.fire_time, lastSeq: kept.seq, carry };
  }
  if (first === undefined) return { ...decided, carry };
  return {
    nextFireTimeMs: null,
    lastFireTimeMs: first.previous_fire_time,
    lastSeq: first.seq - 1,
    carry,
  };
}

// Returns by how much the count of skipped fire times changes because of a pause. The fire times in a pause have no
// rows and are counted when the pause ends. A pause that ends by itself is counted ahead up to its end, so a change
// before that end subtracts the part that is not over.
function countPaused(row: JobRow, schedule: CompiledSchedule, afterMs: number): number {
  const { maxFires } = schedule.policies;
  if (maxFires > 0 && row.last_seq >= maxFires) return 0;
  if (isHalted(row.state)) return countFireTimes(schedule, row.after_time, afterMs);
  return row.after_time > afterMs ? -countFireTimes(schedule, afterMs, row.after_time) : 0;
}
