import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { NO_CARRY } from "../job/carry.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Sliced } from "../schedules/slices.ts";
import {
  createVirtualJob,
  type PlayedFireTime,
  type Range,
  type VirtualJob,
  type VirtualJobState,
  workingAt,
} from "./virtual-job.ts";

/** What a simulation assumes. Times are epoch milliseconds. */
export interface Assumptions {
  readonly schedule: CompiledSchedule;
  readonly gates: readonly CalendarGate[];
  /** When the job is created: its fire times are later than this. */
  readonly startMs: number;
  /** The end of the simulation, inclusive. */
  readonly endMs: number;
  /** When EasyCron does not run. In ascending order, without overlaps. */
  readonly outages: readonly Range[];
  /** When the job is paused. In ascending order, without overlaps. */
  readonly pauses: readonly Range[];
  /** How long each trigger is in flight. */
  readonly durationMs: number;
  /** How many catch-up triggers become due each second. */
  readonly catchupPerSecond: number;
}

/** The result: each fire time later than the start and up to `untilMs`, inclusive, exactly once, in ascending order. */
export interface Simulation {
  readonly fireTimes: readonly PlayedFireTime[];
  readonly untilMs: number;
}

/** The most fire times of one simulation. */
export const SIMULATED_LIMIT = 10_000;
/** A simulation that lists fire times without taking turns may be stopped after each this many of them. */
const LISTED_AT_ONCE = 200;

interface Simulated {
  readonly given: Assumptions;
  readonly job: VirtualJob;
  readonly fires: PlayedFireTime[];
  /** The pauses that have not been played. The first one may have started already, during an outage. */
  readonly pauses: Range[];
  nowMs: number;
  /** When to take the next turn. Null when no turn is left. */
  wakeMs: number | null;
  /** Every fire time up to here has an outcome, or waits. */
  decidedMs: number;
  /** Whether the caller asked to stop early. */
  stopped: boolean;
}

/**
 * Simulates a job over time with the scheduler's own turns. Its clock skips outages: nothing happens during one.
 *
 * 1. The next event is the job's next turn, or the start of a pause if that comes first. An event during an outage
 *    happens at the end of the outage.
 * 2. A pause is played like PauseJob. Fire times that are due when it starts are decided. Those that wait and are not
 *    due yet are PAUSED, and so is every fire time until the pause ends. If a pause starts during an outage, what was
 *    due when the pause started is decided at the end of the outage.
 * 3. What is not decided at the end of the simulation is UPCOMING or PAUSED.
 *
 * It stops early at 10,000 fire times, or when the caller asks it to. `untilMs` then says how far it came.
 */
export function* simulate(given: Assumptions): Sliced<Simulation> {
  const { schedule, gates, startMs, endMs, outages, durationMs, catchupPerSecond } = given;
  const state = newJobState(schedule, startMs, startMs);
  const job = createVirtualJob({ schedule, gates, state, outages, durationMs, catchupPerSecond });
  const pauses = given.pauses
    .map((pause) => ({ ...pause, startMs: Math.max(pause.startMs, startMs) }))
    .filter((pause) => pause.startMs < pause.endMs && pause.startMs <= endMs);
  const run: Simulated = {
    given,
    job,
    fires: [],
    pauses,
    nowMs: startMs,
    wakeMs: startMs,
    decidedMs: startMs,
    stopped: false,
  };
  while (run.wakeMs !== null && !isOver(run)) {
    const turnMs = workingAt(outages, Math.max(run.nowMs, run.wakeMs));
    const [pause] = pauses;
    const pauseMs = pause === undefined ? turnMs : workingAt(outages, Math.max(run.nowMs, pause.startMs));
    if (Math.min(turnMs, pauseMs) > endMs) break;
    if (pause !== undefined && pause.startMs <= turnMs) {
      pauses.shift();
      run.nowMs = pauseMs;
      yield* takePause(run, pause);
    } else {
      run.nowMs = turnMs;
      yield* takeTurnNow(run, turnMs);
    }
  }
  if (!isOver(run)) yield* listUndecided(run);
  return toSimulation(run);
}

/** Returns the state of a job that has not fired yet, and whose fire times are later than `afterMs`. */
export function newJobState(schedule: CompiledSchedule, afterMs: number, updateMs: number): VirtualJobState {
  const nextFireTimeMs = schedule.nextAfter(afterMs);
  return {
    position: { nextFireTimeMs, lastFireTimeMs: null, lastSeq: 0, carry: NO_CARRY },
    afterMs,
    updateMs,
  };
}

function isOver(run: Simulated): boolean {
  return run.stopped || run.fires.length > SIMULATED_LIMIT;
}

/** Takes a turn now, which decides fire times up to `lastMs`. Returns whether it stopped at its limit. */
function* takeTurnNow(run: Simulated, lastMs: number, by?: CompiledSchedule): Sliced<boolean> {
  const { decided, wakeMs, more } = run.job.take(run.nowMs, by);
  run.fires.push(...decided);
  run.wakeMs = wakeMs;
  const { nextFireTimeMs } = run.job.state().position;
  const undecidedMs = nextFireTimeMs ?? Number.POSITIVE_INFINITY;
  run.decidedMs = Math.max(run.decidedMs, Math.min(lastMs, undecidedMs - 1));
  if (yield) run.stopped = true;
  return more;
}

/** Plays a pause that starts now, or that started during the outage that ends now. */
function* takePause(run: Simulated, pause: Range): Sliced<void> {
  const { job, given } = run;
  const late = run.nowMs > pause.startMs;
  const by = late ? yield* listNotDue(run, pause.startMs) : given.schedule;
  while (!isOver(run) && (yield* takeTurnNow(run, pause.startMs, by)));
  if (isOver(run)) return;
  const { position } = job.state();
  const { maxFires } = given.schedule.policies;
  if (maxFires > 0 && position.lastSeq >= maxFires) {
    run.wakeMs = null;
    return;
  }
  listWaiting(run, paused);
  const lastMs = Math.min(pause.endMs - 1, given.endMs);
  yield* list(run, pause.startMs, lastMs, paused);
  const resumed = newJobState(given.schedule, pause.endMs - 1, pause.endMs);
  const { nextFireTimeMs } = resumed.position;
  const carry = { ...NO_CARRY, skipped: position.carry.skipped };
  job.setState({ ...resumed, position: { ...position, nextFireTimeMs, carry } });
  run.wakeMs = pause.endMs;
}

/**
 * For a pause that started during an outage: lists the fire times that were not due when the pause started as PAUSED,
 * removes them from the job, and returns a schedule that has only the fire times that were due by then.
 */
function* listNotDue(run: Simulated, pausedMs: number): Sliced<CompiledSchedule> {
  const { job, given } = run;
  const state = job.state();
  const { position } = state;
  const notDue = new Set<number>();
  const listIfNotDue = (atMs: number): boolean => {
    const place = job.dueTimeOf(atMs);
    if (place.kind === "SKIP" || place.atMs <= pausedMs) return false;
    notDue.add(atMs);
    run.fires.push(paused(atMs));
    return true;
  };
  const waiting = position.carry.waiting.filter((atMs) => !listIfNotDue(atMs));
  let atMs = position.nextFireTimeMs;
  for (let n = 1; atMs !== null && atMs <= pausedMs && n <= SIMULATED_LIMIT; n++) {
    listIfNotDue(atMs);
    atMs = given.schedule.nextAfter(atMs);
    if (n % LISTED_AT_ONCE === 0 && (yield)) run.stopped = true;
    if (run.stopped) break;
  }
  const dueFrom = (first: number | null): number | null => {
    let next = first;
    while (next !== null && notDue.has(next)) next = given.schedule.nextAfter(next);
    return next !== null && next <= pausedMs ? next : null;
  };
  const nextFireTimeMs = dueFrom(position.nextFireTimeMs);
  job.setState({
    ...state,
    position: { ...position, nextFireTimeMs, carry: { ...position.carry, waiting } },
  });
  return { ...given.schedule, nextAfter: (afterMs) => dueFrom(given.schedule.nextAfter(afterMs)) };
}

/** Lists what is not decided at the end of the simulation: an outage lasts longer, or fire times still wait. */
function* listUndecided(run: Simulated): Sliced<void> {
  const { job, given } = run;
  const { nextFireTimeMs, lastSeq } = job.state().position;
  const [pause] = run.pauses;
  const pausedMs = pause?.startMs ?? Number.POSITIVE_INFINITY;
  const outcomeOf = (atMs: number): PlayedFireTime => {
    const place = job.dueTimeOf(atMs);
    const within = run.pauses.some(({ startMs, endMs }) => startMs < atMs && atMs < endMs);
    const notDue = atMs <= pausedMs && place.kind === "AT" && place.atMs > pausedMs;
    return within || notDue ? paused(atMs) : { ...paused(atMs), reason: null };
  };
  let left =
    given.schedule.policies.maxFires === 0 ? Number.POSITIVE_INFINITY : given.schedule.policies.maxFires;
  left -= lastSeq;
  const countedOutcomeOf = (atMs: number): PlayedFireTime | null => {
    if (left <= 0) return null;
    const fire = outcomeOf(atMs);
    if (fire.reason === null) left -= 1;
    return fire;
  };
  listWaiting(run, countedOutcomeOf);
  if (run.wakeMs !== null && nextFireTimeMs !== null)
    yield* list(run, nextFireTimeMs - 1, given.endMs, countedOutcomeOf);
  if (!isOver(run)) run.decidedMs = given.endMs;
}

/** Lists the fire times that wait with the outcome that `toFire` gives, and removes them from the job. */
function listWaiting({ job, fires }: Simulated, toFire: (atMs: number) => PlayedFireTime | null): void {
  const state = job.state();
  const { carry } = state.position;
  fires.push(...carry.waiting.map(toFire).filter((fire) => fire !== null));
  job.setState({ ...state, position: { ...state.position, carry: { ...carry, waiting: [] } } });
}

/** Lists fire times with the outcome that `toFire` gives. Null from it means that no further fire time exists. */
function* list(
  run: Simulated,
  afterMs: number,
  lastMs: number,
  toFire: (atMs: number) => PlayedFireTime | null,
): Sliced<void> {
  let atMs = run.given.schedule.nextAfter(afterMs);
  for (let n = 1; atMs !== null && atMs <= lastMs && !isOver(run); n++) {
    const fire = toFire(atMs);
    if (fire === null) return;
    run.fires.push(fire);
    run.decidedMs = Math.max(run.decidedMs, atMs);
    if (n % LISTED_AT_ONCE === 0 && (yield)) run.stopped = true;
    atMs = run.given.schedule.nextAfter(atMs);
  }
}

function paused(atMs: number): PlayedFireTime {
  return { atMs, reason: "PAUSED", detail: "", trigger: null };
}

// The limit may cut through the middle of a turn. So the result ends before the first fire time that it leaves out.
function toSimulation({ given, job, fires, decidedMs, stopped }: Simulated): Simulation {
  const early = stopped || fires.length > SIMULATED_LIMIT;
  const waiting = early ? job.state().position.carry.waiting : [];
  const all = [...fires, ...waiting.map((atMs) => ({ ...paused(atMs), reason: null }))]
    .filter(({ atMs }) => atMs <= given.endMs)
    .sort((a, b) => a.atMs - b.atMs);
  const left = all[SIMULATED_LIMIT];
  const playedMs = early ? Math.min(decidedMs, given.endMs) : given.endMs;
  const untilMs = left === undefined ? playedMs : Math.min(playedMs, left.atMs - 1);
  return { fireTimes: all.slice(0, SIMULATED_LIMIT).filter(({ atMs }) => atMs <= untilMs), untilMs };
}
