import type { Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import { failure } from "../../mesh/errors.ts";
import { gatesOf } from "../calendars/calendars.ts";
import { toCarryJson } from "../job/carry.ts";
import { epochEnd, epochInsert } from "../job/epochs.sql.ts";
import { fromSpecJson, type JobRow, type JobStateName, stateAt } from "../job/job.ts";
import { jobByUid, jobChange, jobLockForChange, jobWithdraw, type WithdrawnRow } from "../job/jobs.sql.ts";
import { addSkips } from "../job/skips.sql.ts";
import { missedOf, type SkipReason } from "../job/verdict.ts";
import type { Parts } from "../parts.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import { countFireTimes } from "../schedules/count-fire-times.ts";
import { readPolicies } from "../schedules/policies.ts";
import { shapeCatchup } from "../turns/catchup.ts";
import { readDispatched } from "../turns/dispatched.ts";
import { resumeDue } from "../turns/resume-due.ts";
import { takeTurn } from "../turns/turn.ts";
import { type Position, positionOf } from "../turns/turn-draft.ts";

/** What `settleJob` uses. */
type PrepareParts = Pick<
  Parts,
  "handOver" | "schedules" | "zoneData" | "clock" | "catchupPerSecond" | "onMissed"
>;

/** What a change of one job uses, from `settleJob` to `writeChange`. */
export type ChangeParts = PrepareParts & Pick<Parts, "lookAheadMs">;

/** A job whose row is locked, whose past fire times are all decided, and whose future ones are taken back. */
export interface SettledJob {
  readonly row: JobRow;
  /** The instant of the change: fire times up to it belong to what was, later ones to what will be. */
  readonly changeTimeMs: number;
  /** The chain after what could be taken back was, and what waits. Its cursor has no meaning any more. */
  readonly position: Position;
  /** A new cursor must lie after this: the change, or a later trigger that had started already. */
  readonly afterMs: number;
}

/** What a job is to be from the change on. */
export interface JobChange {
  readonly state: Exclude<JobStateName, "FINISHED">;
  readonly revision: number;
  /** The revision's. */
  readonly schedule: CompiledSchedule;
  readonly pauseNote: string;
  /** When a pause ends by itself. */
  readonly untilMs: number | null;
  /** Fire times to be skipped by request. */
  readonly requested: readonly number[];
}

const MAX_TURNS = 10;
const MAX_EVENTS_PER_TURN = 1_000;

/**
 * Makes a locked job ready to be changed:
 *
 * 1. What is due up to now belongs to the specification that is being replaced: it is decided and handed over now if
 *    an outage has kept it back, by the same policies as ever, so that no fire time is lost to a change.
 * 2. The lock is raised to FOR UPDATE. It waits until no dispatcher is recording events of the job, and from then on
 *    they refuse events of the old epoch.
 * 3. Triggers handed over ahead of time that have not started are taken back, and the chain with them. One whose fire
 *    time has come, and which was only delayed, waits again: an update delivers it anew, anything else skips it.
 *
 * A dispatcher claims a trigger in PostgreSQL at its effective time, not before. So once the transaction has
 * committed, no delivery starts under the old specification for a later time (promise 5), without asking any
 * dispatcher. What is made up for after an outage was due before the change, and goes on.
 */
export async function settleJob(tx: Queryable, parts: PrepareParts, given: JobRow): Promise<SettledJob> {
  const changeTimeMs = parts.clock.now();
  const row = await endPause(tx, parts, given, changeTimeMs);
  const schedule = compiledScheduleOf(parts, row);
  const owes = row.state === "ACTIVE" && schedule !== undefined;
  // The end of a pause is not committed yet: to a dispatcher the job is still of the epoch before.
  const { epoch } = given;
  const decided = owes ? await decideDue(tx, parts, row, { nowMs: changeTimeMs, epoch }) : positionOf(row);
  await tx.query(jobLockForChange, [row.uid]);
  const withdrawn = await tx.query(jobWithdraw, [row.uid, toSqlTime(changeTimeMs)]);
  const kept = withdrawn.find((each) => each.kept);
  const afterMs = Math.max(changeTimeMs, kept?.fire_time ?? changeTimeMs);
  const back = withdrawn.filter((each) => !each.kept);
  const position = rewind(decided, back, kept, afterMs);
  const paused = schedule === undefined ? 0 : countPaused(row, schedule, afterMs);
  const carry = { ...position.carry, skipped: Math.max(0, position.carry.skipped + paused) };
  return { row, changeTimeMs, position: { ...position, carry }, afterMs };
}

// A pause whose end has come and no tick has written ends at that end, not at the change: what has been due since is owed.
async function endPause(
  tx: Queryable,
  parts: Pick<Parts, "schedules">,
  row: JobRow,
  nowMs: number,
): Promise<JobRow> {
  if (row.state !== "PAUSED" || row.pause_until === null || row.pause_until > nowMs) return row;
  const onTrouble = () => {};
  if ((await resumeDue(tx, { schedules: parts.schedules, onTrouble }, [row])) === 0) return row;
  const [resumed] = await tx.query(jobByUid, [row.project_id, row.uid]);
  return resumed ?? row;
}

async function decideDue(
  tx: Queryable,
  parts: Pick<Parts, "handOver" | "schedules" | "zoneData" | "catchupPerSecond" | "onMissed">,
  row: JobRow,
  { nowMs, epoch }: { readonly nowMs: number; readonly epoch: number },
): Promise<Position> {
  const schedule = parts.schedules.of(row);
  const gates = await gatesOf(tx, parts.zoneData, row.project_id, schedule.calendars);
  const [known = { busy: false, handed: [] }] = await readDispatched(tx, [row], [schedule], nowMs);
  const zoneData = parts.zoneData.label(schedule, nowMs);
  let at: JobRow = row;
  for (let left = MAX_TURNS; left > 0; left--) {
    const limit = MAX_EVENTS_PER_TURN;
    const turn = takeTurn({ row: at, schedule, gates, ...known, nowMs, limit, lookAheadMs: 0, zoneData });
    await addSkips(
      tx,
      turn.skips.map((range) => ({ jobUid: row.uid, range })),
    );
    for (const range of missedOf(turn.skips)) parts.onMissed(row.uid, range);
    if (turn.events.length > 0) {
      const events = turn.events.map((event) => ({ ...event, epoch }));
      await parts.handOver.send(await shapeCatchup(tx, events, nowMs, parts.catchupPerSecond));
    }
    if (turn.endMs !== null) await tx.query(epochEnd, [[row.uid], [row.epoch], [toSqlTime(turn.endMs)]]);
    const { nextFireTimeMs, lastFireTimeMs, lastSeq, carry } = turn.position;
    if (!turn.more) {
      // As many wait as may still fire: what has come since is no fire time of this epoch.
      const spent = nextFireTimeMs !== null && nextFireTimeMs <= nowMs;
      if (spent) await tx.query(epochEnd, [[row.uid], [row.epoch], [toSqlTime(nextFireTimeMs - 1)]]);
      return turn.position;
    }
    at = {
      ...at,
      next_fire_time: nextFireTimeMs,
      last_fire_time: lastFireTimeMs,
      last_seq: lastSeq,
      carry,
    };
  }
  throw failure("SERVICE_UNAVAILABLE", { service: "scheduler" }, { retryAfterMs: 1_000 });
}

function rewind(
  decided: Position,
  back: readonly WithdrawnRow[],
  kept: WithdrawnRow | undefined,
  afterMs: number,
): Position {
  const times = new Set([...decided.carry.waiting, ...back.map((each) => each.fire_time)]);
  const waiting = [...times].filter((each) => each <= afterMs).sort((a, b) => a - b);
  const { late } = decided.carry;
  const requested = decided.carry.requested.filter((each) => each > afterMs || waiting.includes(each));
  const [first] = back;
  if (kept !== undefined) {
    const carry = { waiting, late, requested, run: null, skipped: 0, missed: 0 };
    return { nextFireTimeMs: null, lastFireTimeMs: kept.fire_time, lastSeq: kept.seq, carry };
  }
  // The row's own counts are in the first one's already when the turn that handed it over was never committed.
  const counted = first !== undefined && first.seq > decided.lastSeq;
  const carry = {
    waiting,
    late,
    requested,
    run: null,
    skipped: back.reduce((sum, each) => sum + each.previous_skipped, counted ? 0 : decided.carry.skipped),
    missed: back.reduce((sum, each) => sum + each.previous_missed, counted ? 0 : decided.carry.missed),
  };
  if (first === undefined) return { ...decided, carry };
  return {
    nextFireTimeMs: null,
    lastFireTimeMs: first.previous_fire_time,
    lastSeq: first.seq - 1,
    carry,
  };
}

// Fire times of a pause have no rows, and are counted when it ends; what a pause that ends by itself was counted ahead
// for is taken off when it is changed before its end.
function countPaused(row: JobRow, schedule: CompiledSchedule, afterMs: number): number {
  const { maxFires } = schedule.policies;
  if (maxFires > 0 && row.last_seq >= maxFires) return 0;
  if (row.state === "PAUSED") return countFireTimes(schedule, row.after_time, afterMs);
  return row.after_time > afterMs ? -countFireTimes(schedule, afterMs, row.after_time) : 0;
}

// Undefined when it cannot be compiled: then it has no fire times that could be decided, and the job may still be
// changed, paused and deleted.
function compiledScheduleOf(parts: Pick<Parts, "schedules">, row: JobRow): CompiledSchedule | undefined {
  const found = parts.schedules.find(row);
  return found instanceof Error ? undefined : found;
}

// In place of a schedule that cannot be compiled. Asked for a fire time, it throws what compiling it does.
function failingSchedule(parts: Pick<Parts, "schedules">, row: JobRow): CompiledSchedule {
  return {
    jobUid: row.uid,
    nextAfter: (afterMs) => parts.schedules.of(row).nextAfter(afterMs),
    plan: { schedules: [] },
    policies: readPolicies(fromSpecJson(row.spec)),
    calendars: [],
    zoneData: row.zone_data,
    zones: [],
  };
}

/** The change that leaves a job as it is: for when something else has changed that it depends on. */
export function unchanged(parts: Pick<Parts, "schedules">, job: SettledJob): JobChange {
  const { row, changeTimeMs, position } = job;
  const state = stateAt(row, changeTimeMs);
  return {
    state: state === "FINISHED" ? "ACTIVE" : state,
    revision: row.revision,
    schedule: compiledScheduleOf(parts, row) ?? failingSchedule(parts, row),
    pauseNote: state === "PAUSED" ? row.pause_note : "",
    untilMs: state === "PAUSED" ? row.pause_until : null,
    requested: position.carry.requested,
  };
}

/** Writes the change of a settled job, begins its next epoch, and returns its new row. */
export async function writeChange(
  tx: Queryable,
  parts: Pick<Parts, "lookAheadMs">,
  job: SettledJob,
  change: JobChange,
): Promise<JobRow> {
  const { row, position, afterMs, changeTimeMs } = job;
  const active = change.state === "ACTIVE";
  const { maxFires } = change.schedule.policies;
  const left = maxFires > 0 ? Math.max(0, maxFires - position.lastSeq) : Number.POSITIVE_INFINITY;
  const waiting = active ? position.carry.waiting.slice(0, left) : [];
  const spent = left === 0;
  const nextMs = active && !spent ? change.schedule.nextAfter(afterMs) : null;
  const over = active && nextMs === null && waiting.length === 0 && change.schedule.plan.schedules.length > 0;
  // Of a job whose limit was lowered below what waits, the last ones have none left.
  const dropped = position.carry.waiting.slice(waiting.length);
  await dropWaiting(tx, row.uid, dropped, change.state === "PAUSED" ? "PAUSED" : "JOB_DISABLED");
  const skipped = position.carry.skipped + dropped.length;
  await tx.query(jobChange, [
    row.uid,
    over ? "FINISHED" : change.state,
    change.revision,
    toSqlTimeOrNull(nextMs),
    toSqlTimeOrNull(position.lastFireTimeMs),
    position.lastSeq,
    toSqlTimeOrNull(wakeAfter(parts, job, change, nextMs !== null || waiting.length > 0)),
    toCarryJson({ ...position.carry, waiting, skipped, requested: change.requested }),
    change.pauseNote,
    toSqlTimeOrNull(change.untilMs),
    toSqlTime(changeTimeMs),
    toSqlTime(afterMs),
    change.schedule.policies.deleteFinished,
  ]);
  await tx.query(epochInsert, [
    row.uid,
    row.epoch + 1,
    change.state,
    change.revision,
    toSqlTime(afterMs),
    spent ? toSqlTime(afterMs) : null,
    toSqlTime(changeTimeMs),
    change.pauseNote,
  ]);
  const [written] = await tx.query(jobByUid, [row.project_id, row.uid]);
  if (written === undefined) throw new Error(`Job ${row.uid} is gone after its change.`);
  return written;
}

function wakeAfter(
  parts: Pick<Parts, "lookAheadMs">,
  job: SettledJob,
  change: JobChange,
  hasWork: boolean,
): number | null {
  if (change.state === "PAUSED" && change.untilMs !== null) return change.untilMs - parts.lookAheadMs;
  return hasWork ? job.changeTimeMs : null;
}

async function dropWaiting(
  tx: Queryable,
  jobUid: string,
  waiting: readonly number[],
  reason: SkipReason,
): Promise<void> {
  const ranges = waiting.map((atMs) => ({ firstMs: atMs, lastMs: atMs, reason, count: 1, detail: "" }));
  await addSkips(
    tx,
    ranges.map((range) => ({ jobUid, range })),
  );
}
