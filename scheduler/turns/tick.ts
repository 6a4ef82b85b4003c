import type { CalendarGate } from "../../cron/calendar-gate.ts";
import type { Database, Queryable } from "../../db/pool.ts";
import { toSqlTime, toSqlTimeOrNull } from "../../db/time.ts";
import type { Clock } from "../../mesh/clock.ts";
import { createFullScan, type FullScan } from "../../mesh/full-scan.ts";
import { gatesOfMany } from "../calendars/calendars.ts";
import { toCarryJson } from "../job/carry.ts";
import { epochEnd } from "../job/epochs.sql.ts";
import type { TurnRow } from "../job/job.ts";
import { jobAdvance, jobClaimDue } from "../job/jobs.sql.ts";
import type { ScheduleCache } from "../job/schedule-cache.ts";
import { addSkips } from "../job/skips.sql.ts";
import { missedOf, type SkipRange } from "../job/verdict.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { ZoneData } from "../zones/zone-data.ts";
import { spreadCatchup } from "./catchup.ts";
import { type Dispatched, readDispatched } from "./dispatched.ts";
import { type HandOver, sendAllOrThrow } from "./hand-over.ts";
import { resumeDue } from "./resume-due.ts";
import { LATE_MS, type Turn, takeTurn } from "./turn.ts";

/** What a tick uses. */
export interface TickParts {
  readonly database: Database;
  readonly handOver: HandOver;
  readonly schedules: ScheduleCache;
  readonly zoneData: Pick<ZoneData, "label" | "release">;
  readonly clock: Clock;
  /** How long before its effective time a trigger is handed over to a dispatcher. */
  readonly lookAheadMs: number;
  /** The catch-up rate of one project: how many of its late triggers become due in a second. */
  readonly catchupPerSecond: number;
  /**
   * Called with a job whose next fire time cannot be computed. The job is left alone for one minute, then tried again.
   */
  readonly onTrouble: (jobUid: string, error: unknown) => void;
  /** Called with fire times of a job that an outage made us miss. */
  readonly onMissed: (jobUid: string, range: SkipRange) => void;
}

/** Most jobs in one transaction of jobs that are on time. */
export const CLAIM_LIMIT = 500;
/** Most jobs in one transaction of late jobs. */
const LATE_CLAIM_LIMIT = 100;
/** Most events of one job in one transaction. The backlog of a long outage takes several. */
const JOB_EVENTS_LIMIT = 1_000;
/** Most events in one transaction. */
const EVENTS_LIMIT = 5_000;
/**
 * Most fire times that one transaction decides. This takes some tens of milliseconds, so jobs on time need not wait
 * long.
 */
const DECISIONS_LIMIT = 20_000;
/** How long a job is left alone after its next fire time could not be computed. */
const TROUBLE_MS = 60_000;
/** A search for late jobs that does not read everything reads what has been late for less than this. */
const RECENTLY_LATE_MS = 60_000;
/** The shortest time between two searches for late jobs that read everything, unless the last one found any. */
const FULL_SEARCH_EVERY_MS = 5_000;
/** Most jobs whose exact wake times are kept in memory. Beyond that, jobs are looked at with the regular tick. */
const EXACT_WAKES_LIMIT = 10_000;

/** Hands over the triggers that become due within the look-ahead. */
export interface Tick {
  /**
   * Runs two transactions: first the jobs that are on time, then the late ones. Each transaction claims jobs, decides
   * their fire times, hands the events over to a dispatcher, and advances the cursors once the dispatcher has made the
   * events durable. The cursor is the outbox: after a crash before the commit the next tick sends the same events
   * again, and the dispatcher records each only once.
   *
   * Returns the number of events, whether more work is due at once, and after how many milliseconds the earliest job
   * that must be looked at exactly on time is due (Infinity if there is none).
   */
  run(): Promise<{ readonly events: number; readonly more: boolean; readonly againMs: number }>;
}

/** What a tick remembers between its runs. */
interface TickState {
  readonly parts: TickParts;
  /** By job: until when it is left alone, because its next fire time could not be computed. Epoch milliseconds. */
  readonly troubledUntil: Map<string, number>;
  /**
   * By job: when to look at it, for jobs whose fire times are decided exactly on time. Epoch milliseconds. An entry may
   * be out of date, because another scheduler took the job. This costs one needless look.
   */
  readonly exactWakes: Map<string, number>;
  /** When the search for late jobs reads everything. */
  readonly lateScan: FullScan;
}

/** A job with the turn that was decided for it. */
interface DecidedTurn {
  readonly row: TurnRow;
  readonly turn: Turn;
  /** Whether the job's fire times are decided at their own instant, not ahead of it. */
  readonly isExact: boolean;
}

/** What is left of the limits of one transaction. */
interface Budget {
  readonly events: number;
  readonly decisions: number;
}

interface PassResult {
  readonly events: number;
  readonly more: boolean;
}

/** Makes a tick. */
export function createTick(parts: TickParts): Tick {
  const lateScan = createFullScan(FULL_SEARCH_EVERY_MS, parts.clock.now);
  const state: TickState = { parts, troubledUntil: new Map(), exactWakes: new Map(), lateScan };
  return { run: () => runTick(state) };
}

async function runTick(state: TickState): ReturnType<Tick["run"]> {
  const { clock, lookAheadMs } = state.parts;
  const nowMs = clock.now();
  forgetPast(state, nowMs);
  const lateMs = nowMs - LATE_MS - lookAheadMs;
  const onTime = await runPass(state, { afterMs: lateMs, untilMs: nowMs, maxJobs: CLAIM_LIMIT });
  // Late jobs wait while there are more jobs on time.
  const late = onTime.more ? { events: 0, more: true } : await runLatePass(state, lateMs);
  const againMs = Math.min(...state.exactWakes.values(), Number.POSITIVE_INFINITY) - clock.now();
  return { events: onTime.events + late.events, more: onTime.more || late.more, againMs };
}

async function runLatePass(state: TickState, lateMs: number): Promise<PassResult> {
  const late = await state.lateScan.run((isFull) =>
    runPass(state, {
      afterMs: isFull ? null : lateMs - RECENTLY_LATE_MS,
      untilMs: lateMs,
      maxJobs: LATE_CLAIM_LIMIT,
    }),
  );
  // Where some jobs are late, others may be, and for longer.
  if (late.more || late.events > 0) state.lateScan.request();
  return late;
}

function forgetPast({ troubledUntil, exactWakes }: TickState, nowMs: number): void {
  for (const [uid, untilMs] of troubledUntil) if (untilMs <= nowMs) troubledUntil.delete(uid);
  for (const [uid, wakeMs] of exactWakes) if (wakeMs <= nowMs) exactWakes.delete(uid);
  if (exactWakes.size > EXACT_WAKES_LIMIT) exactWakes.clear();
}

/** Which jobs one transaction claims: those with a wake time after `afterMs` (null: any) and up to `untilMs`. */
interface Claim {
  readonly afterMs: number | null;
  readonly untilMs: number;
  readonly maxJobs: number;
}

function runPass(state: TickState, claim: Claim): Promise<PassResult> {
  const { database, schedules } = state.parts;
  return database.transaction(async (tx) => {
    const claimed = await claimJobs(state, tx, claim);
    const paused = claimed.filter(({ state }) => state === "PAUSED");
    const onTrouble = (jobUid: string, error: unknown) => leaveAlone(state, jobUid, error);
    const resumed = await resumeDue(tx, { schedules, onTrouble }, paused);
    const active = claimed.filter(({ state }) => state === "ACTIVE");
    if (active.length === 0) return { events: 0, more: resumed > 0 };
    const decided = await decideTurns(state, tx, active);
    const events = await handOverTurns(state, tx, decided);
    const isMore =
      resumed > 0 ||
      claimed.length === claim.maxJobs ||
      decided.length < active.length ||
      decided.some(({ turn }) => turn.more);
    return { events, more: isMore };
  });
}

function claimJobs(
  state: TickState,
  tx: Queryable,
  { afterMs, untilMs, maxJobs }: Claim,
): Promise<TurnRow[]> {
  const after = afterMs === null ? "-infinity" : toSqlTime(afterMs);
  const without = [...state.troubledUntil.keys()];
  return tx.query(jobClaimDue, [toSqlTime(untilMs), maxJobs, without, after]);
}

async function decideTurns(
  state: TickState,
  tx: Queryable,
  rows: readonly TurnRow[],
): Promise<DecidedTurn[]> {
  const { clock, zoneData } = state.parts;
  const schedules = await state.parts.schedules.loadEach(tx, rows);
  const references = rows.map((row, index) => {
    const schedule = schedules[index];
    const calendars = schedule === undefined || schedule instanceof Error ? [] : schedule.calendars;
    return { projectId: row.project_id, references: calendars };
  });
  const gates = await gatesOfMany(tx, zoneData, references);
  const dispatched = await readDispatched(tx, rows, schedules, clock.now());
  const decided: DecidedTurn[] = [];
  let budget: Budget = { events: EVENTS_LIMIT, decisions: DECISIONS_LIMIT };
  for (const [index, row] of rows.entries()) {
    const [schedule, known] = [schedules[index], dispatched[index]];
    if (schedule === undefined || known === undefined || budget.events <= 0 || budget.decisions <= 0) break;
    const turn = tryTurn(state, { row, schedule, gates: gates[index], dispatched: known }, budget);
    if (turn === undefined) continue;
    budget = { events: budget.events - turn.events.length, decisions: budget.decisions - turn.decisions };
    const isExact = !(schedule instanceof Error) && schedule.policies.overlap !== "ALLOW_ALL";
    decided.push({ row, turn, isExact });
  }
  return decided;
}

/** What was read about one job. */
interface ReadJob {
  readonly row: TurnRow;
  readonly schedule: CompiledSchedule | Error;
  readonly gates: readonly CalendarGate[] | undefined;
  readonly dispatched: Dispatched;
}

/** Takes the turn of one job. If it throws, the job is left alone for a while and undefined is returned. */
function tryTurn(
  state: TickState,
  { row, schedule, gates, dispatched }: ReadJob,
  budget: Budget,
): Turn | undefined {
  const { clock, zoneData, lookAheadMs } = state.parts;
  try {
    if (schedule instanceof Error) throw schedule;
    if (gates === undefined) throw new Error("A calendar of the job does not exist or cannot be compiled.");
    const nowMs = clock.now();
    return takeTurn({
      row,
      schedule,
      gates,
      ...dispatched,
      nowMs,
      lookAheadMs,
      limit: Math.min(JOB_EVENTS_LIMIT, budget.events),
      mostDecisions: budget.decisions,
      zoneData: zoneData.label(schedule, nowMs),
    });
  } catch (error) {
    leaveAlone(state, row.uid, error);
    return undefined;
  }
}

function leaveAlone({ parts, troubledUntil }: TickState, jobUid: string, error: unknown): void {
  troubledUntil.set(jobUid, parts.clock.now() + TROUBLE_MS);
  parts.onTrouble(jobUid, error);
}

/** Hands over the events of the turns, then writes what the turns decided. Returns the number of events. */
async function handOverTurns(
  { parts, exactWakes }: TickState,
  tx: Queryable,
  decided: readonly DecidedTurn[],
): Promise<number> {
  const events = decided.flatMap(({ turn }) => turn.events);
  await sendAllOrThrow(
    parts.handOver,
    await spreadCatchup(tx, events, parts.clock.now(), parts.catchupPerSecond),
  );
  await writeTurns(tx, decided);
  for (const { row, turn, isExact } of decided) {
    if (isExact && turn.wakeMs !== null) exactWakes.set(row.uid, turn.wakeMs);
    for (const range of missedOf(turn.skips)) parts.onMissed(row.uid, range);
  }
  return events.length;
}

async function writeTurns(tx: Queryable, decided: readonly DecidedTurn[]): Promise<void> {
  await addSkips(
    tx,
    decided.flatMap(({ row, turn }) => turn.skips.map((range) => ({ jobUid: row.uid, range }))),
  );
  const ended = decided.filter(({ turn }) => turn.endMs !== null);
  if (ended.length > 0) {
    await tx.query(epochEnd, [
      ended.map(({ row }) => row.uid),
      ended.map(({ row }) => row.epoch),
      ended.map(({ turn }) => toSqlTimeOrNull(turn.endMs)),
    ]);
  }
  await tx.query(jobAdvance, [
    decided.map(({ row }) => row.uid),
    decided.map(({ turn }) => (turn.finished ? "FINISHED" : "ACTIVE")),
    decided.map(({ turn }) => toSqlTimeOrNull(turn.position.nextFireTimeMs)),
    decided.map(({ turn }) => toSqlTimeOrNull(turn.position.lastFireTimeMs)),
    decided.map(({ turn }) => turn.position.lastSeq),
    decided.map(({ turn }) => toSqlTimeOrNull(turn.wakeMs)),
    decided.map(({ turn }) => toCarryJson(turn.position.carry)),
    decided.map(({ turn }) => turn.waitsForEnd),
  ]);
}
