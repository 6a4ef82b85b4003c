import type { CalendarGate } from "../../cron/calendar-gate.ts";
import { NO_CARRY } from "../job/carry.ts";
import type { CompiledSchedule } from "../schedules/compiled-schedule.ts";
import type { Sliced } from "../schedules/slices.ts";
import {
  createVirtualJob,
  type PlayedFireTime,
  type Range,
  type Standing,
  type VirtualJob,
  workingAt,
} from "./virtual-job.ts";

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
  /** Ascending and apart. */
  readonly pauses: readonly Range[];
  /** How long a trigger needs until it comes to rest. */
  readonly durationMs: number;
  /** How many triggers are made up for in a second. */
  readonly catchupPerSecond: number;
}

/** What would become of the fire times that are later than the start and not later than `untilMs`: each is there once. */
export interface Simulation {
  readonly fireTimes: readonly PlayedFireTime[];
  readonly untilMs: number;
}

/** Most fire times of one simulation. */
export const SIMULATED_LIMIT = 10_000;
/** After how many fire times that are only listed a slice may end. */
const LISTED_AT_ONCE = 200;

interface Simulated {
  readonly given: Assumptions;
  readonly job: VirtualJob;
  readonly fires: PlayedFireTime[];
  /** Those that are still to come; the first one may be overdue in an outage. */
  readonly pauses: Range[];
  nowMs: number;
  /** When to take the next turn; null when there is none to take. */
  wakeMs: number | null;
  /** No fire time up to here is without a verdict, but for those that wait. */
  decidedMs: number;
  /** It is to end early. */
  stopped: boolean;
}

/**
 * Plays a job through time by the turns that the scheduler takes, with a clock that stands still during an outage:
 *
 * 1. The next thing is the turn that the job is to be woken for, at the end of the outage if it falls into one, or the
 *    beginning of a pause that comes before it.
 * 2. A pause is the change that it is: what is owed by then is decided, what is not due by then is PAUSED, and so is
 *    each fire time until its end. One that begins in an outage leaves what is owed by then for the end of the outage.
 * 3. What the end of the range leaves undecided is UPCOMING, or PAUSED.
 *
 * Ends early, and says where, at 10,000 fire times or when it is told to.
 */
export function* simulate(given: Assumptions): Sliced<Simulation> {
  const { schedule, gates, startMs, endMs, outages, durationMs, catchupPerSecond } = given;
  const standing = standingAfter(schedule, startMs, startMs);
  const job = createVirtualJob({ schedule, gates, standing, outages, durationMs, catchupPerSecond });
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
  if (!isOver(run)) yield* leaveRest(run);
  return toSimulation(run);
}

/** A job with nothing behind it, whose fire times are later than `afterMs`. */
export function standingAfter(schedule: CompiledSchedule, afterMs: number, updateMs: number): Standing {
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

/** Takes a turn at the present moment, of the fire times up to `lastMs`; true when it met its limit. */
function* takeTurnNow(run: Simulated, lastMs: number, by?: CompiledSchedule): Sliced<boolean> {
  const { decided, wakeMs, more } = run.job.take(run.nowMs, by);
  run.fires.push(...decided);
  run.wakeMs = wakeMs;
  const { nextFireTimeMs } = run.job.standing().position;
  const undecidedMs = nextFireTimeMs ?? Number.POSITIVE_INFINITY;
  run.decidedMs = Math.max(run.decidedMs, Math.min(lastMs, undecidedMs - 1));
  if (yield) run.stopped = true;
  return more;
}

/** A pause that has begun, now or in the outage that ends now. */
function* takePause(run: Simulated, pause: Range): Sliced<void> {
  const { job, given } = run;
  const late = run.nowMs > pause.startMs;
  const by = late ? yield* withoutUndue(run, pause.startMs) : given.schedule;
  while (!isOver(run) && (yield* takeTurnNow(run, pause.startMs, by)));
  if (isOver(run)) return;
  const { position } = job.standing();
  const { maxFires } = given.schedule.policies;
  if (maxFires > 0 && position.lastSeq >= maxFires) {
    run.wakeMs = null;
    return;
  }
  tellWaiting(run, paused);
  const lastMs = Math.min(pause.endMs - 1, given.endMs);
  yield* list(run, pause.startMs, lastMs, paused);
  const resumed = standingAfter(given.schedule, pause.endMs - 1, pause.endMs);
  const { nextFireTimeMs } = resumed.position;
  const carry = { ...NO_CARRY, skipped: position.carry.skipped };
  job.goOn({ ...resumed, position: { ...position, nextFireTimeMs, carry } });
  run.wakeMs = pause.endMs;
}

/**
 * Says PAUSED of what an outage has kept back and what was not due when the pause began, and gives the schedule of what
 * was.
 */
function* withoutUndue(run: Simulated, pausedMs: number): Sliced<CompiledSchedule> {
  const { job, given } = run;
  const standing = job.standing();
  const { position } = standing;
  const undue = new Set<number>();
  const isUndue = (atMs: number): boolean => {
    const place = job.placeOf(atMs);
    if (place.kind === "SKIP" || place.atMs <= pausedMs) return false;
    undue.add(atMs);
    run.fires.push(paused(atMs));
    return true;
  };
  const waiting = position.carry.waiting.filter((atMs) => !isUndue(atMs));
  let atMs = position.nextFireTimeMs;
  for (let n = 1; atMs !== null && atMs <= pausedMs && n <= SIMULATED_LIMIT; n++) {
    isUndue(atMs);
    atMs = given.schedule.nextAfter(atMs);
    if (n % LISTED_AT_ONCE === 0 && (yield)) run.stopped = true;
    if (run.stopped) break;
  }
  const dueFrom = (first: number | null): number | null => {
    let next = first;
    while (next !== null && undue.has(next)) next = given.schedule.nextAfter(next);
    return next !== null && next <= pausedMs ? next : null;
  };
  const nextFireTimeMs = dueFrom(position.nextFireTimeMs);
  job.goOn({ ...standing, position: { ...position, nextFireTimeMs, carry: { ...position.carry, waiting } } });
  return { ...given.schedule, nextAfter: (afterMs) => dueFrom(given.schedule.nextAfter(afterMs)) };
}

/** What is not decided at the end of the range: an outage lasts, or something waits. */
function* leaveRest(run: Simulated): Sliced<void> {
  const { job, given } = run;
  const { nextFireTimeMs, lastSeq } = job.standing().position;
  const [pause] = run.pauses;
  const pausedMs = pause?.startMs ?? Number.POSITIVE_INFINITY;
  const rest = (atMs: number): PlayedFireTime => {
    const place = job.placeOf(atMs);
    const within = run.pauses.some(({ startMs, endMs }) => startMs < atMs && atMs < endMs);
    const undue = atMs <= pausedMs && place.kind === "AT" && place.atMs > pausedMs;
    return within || undue ? paused(atMs) : { ...paused(atMs), reason: null };
  };
  let left =
    given.schedule.policies.maxFires === 0 ? Number.POSITIVE_INFINITY : given.schedule.policies.maxFires;
  left -= lastSeq;
  const count = (atMs: number): PlayedFireTime | null => {
    if (left <= 0) return null;
    const fire = rest(atMs);
    if (fire.reason === null) left -= 1;
    return fire;
  };
  tellWaiting(run, count);
  if (run.wakeMs !== null && nextFireTimeMs !== null)
    yield* list(run, nextFireTimeMs - 1, given.endMs, count);
  if (!isOver(run)) run.decidedMs = given.endMs;
}

/** Gives those that wait a verdict of the caller's. */
function tellWaiting({ job, fires }: Simulated, toFire: (atMs: number) => PlayedFireTime | null): void {
  const standing = job.standing();
  const { carry } = standing.position;
  fires.push(...carry.waiting.map(toFire).filter((fire) => fire !== null));
  job.goOn({ ...standing, position: { ...standing.position, carry: { ...carry, waiting: [] } } });
}

/** Lists fire times with a verdict of the caller's; without one, none that follows exists. */
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

// What was played last may be a part of one turn: fire times from the first left out on are left out.
function toSimulation({ given, job, fires, decidedMs, stopped }: Simulated): Simulation {
  const early = stopped || fires.length > SIMULATED_LIMIT;
  const waiting = early ? job.standing().position.carry.waiting : [];
  const all = [...fires, ...waiting.map((atMs) => ({ ...paused(atMs), reason: null }))]
    .filter(({ atMs }) => atMs <= given.endMs)
    .sort((a, b) => a.atMs - b.atMs);
  const left = all[SIMULATED_LIMIT];
  const playedMs = early ? Math.min(decidedMs, given.endMs) : given.endMs;
  const untilMs = left === undefined ? playedMs : Math.min(playedMs, left.atMs - 1);
  return { fireTimes: all.slice(0, SIMULATED_LIMIT).filter(({ atMs }) => atMs <= untilMs), untilMs };
}
